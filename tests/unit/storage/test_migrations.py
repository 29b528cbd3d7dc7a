from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from recon_service.domain.errors import StorageFault
from recon_service.storage.database import open_engine
from recon_service.storage.schema import HEAD, alembic_config, current_revision, migrate
from recon_service.storage.tables import metadata


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return open_engine(f"sqlite:///{tmp_path / 'recon.sqlite3'}")


def test_head_is_the_newest_migration(engine: sa.Engine) -> None:
    assert ScriptDirectory.from_config(alembic_config(engine)).get_heads() == [HEAD]


def test_the_migrations_make_exactly_the_tables_of_the_code(engine: sa.Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_up_down_up(engine: sa.Engine) -> None:
    migrate(engine)
    assert current_revision(engine) == HEAD
    command.downgrade(alembic_config(engine), "base")
    assert set(sa.inspect(engine).get_table_names()) <= {"alembic_version"}
    migrate(engine)
    assert set(sa.inspect(engine).get_table_names()) == {"alembic_version", *metadata.tables}


def test_migrating_twice_changes_nothing(engine: sa.Engine) -> None:
    migrate(engine)
    migrate(engine)
    assert current_revision(engine) == HEAD


def test_a_database_of_a_newer_version_is_refused(engine: sa.Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageFault, match="9999"):
        migrate(engine)


def test_sqlite_keeps_what_it_promises(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
