from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from recon_service.application.records.audit import AuditEntry, AuditHead
from recon_service.application.records.operations import Lane
from recon_service.domain.errors import StorageFault
from recon_service.storage.database import SqlDatabase
from recon_service.storage.engines import open_engine
from recon_service.storage.schema import HEAD, alembic_config, current_revision, migrate
from recon_service.storage.tables import metadata
from tests.servers.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        yield open_engine(f"sqlite:///{tmp_path / 'recon.sqlite3'}")
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()


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


OLD_ROWS = (
    "INSERT INTO subjects (subject_id, created_at) VALUES ('ada', '2026-01-01 00:00:00')",
    "INSERT INTO subject_keys (subject_id, key_id, master_key_id, wrapped) VALUES ('ada', 'k', 'm', '')",
    "INSERT INTO operations (operation_id, subject_id, state, stage, progress, attempts, version, "
    "consent_id, keep_selfies, selfies, created_at, updated_at) "
    "VALUES ('op_1', 'ada', 'queued', 'queued', 0, 0, 1, 'c', "
    "FALSE, '[]', '2026-01-02 00:00:00', '2026-01-02 00:00:00')",
    "INSERT INTO selfies (operation_id, ordinal, object_key) VALUES ('op_1', 0, 'selfies/op_1/0')",
    "INSERT INTO templates (template_id, subject_id, operation_id, model, source, calibration, quality, "
    "created_at, sealed) VALUES ('tpl_1', 'ada', 'op_1', 'm', 's', 'c', 50, '2026-01-03 00:00:00', '')",
)


def rows(engine: sa.Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            name: connection.scalar(sa.text(f"SELECT count(*) FROM {name}")) or 0
            for name in ("subjects", "subject_keys", "operations", "selfies", "templates")
        }


def test_an_upgrade_says_that_it_goes_on_and_when_it_is_done(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="recon_service.storage.schema")
    migrate(engine)
    migrate(engine)
    assert caplog.messages == [], "a new database, and one that is as it should be"
    command.downgrade(alembic_config(engine), "0023")
    migrate(engine)
    assert caplog.messages == [
        f"the database is brought from migration 0023 to {HEAD}",
        f"the database is at migration {HEAD}",
    ]


def test_data_of_the_first_version_survives_up_down_and_up(engine: sa.Engine) -> None:
    command.upgrade(alembic_config(engine), "0001")
    with engine.begin() as connection:
        for statement in OLD_ROWS:
            connection.execute(sa.text(statement))
    whole = rows(engine)
    assert set(whole.values()) == {1}
    migrate(engine)
    assert rows(engine) == whole
    with SqlDatabase(engine).transaction() as tx:
        (waiting,) = tx.operations.unpublished(now=datetime(2026, 1, 2, 1, tzinfo=UTC), limit=9)
        assert waiting == ("op_1", Lane.INTERACTIVE), "what waited before the upgrade is published after it"
        assert tx.operations.oldest_queued(Lane.INTERACTIVE) == datetime(2026, 1, 2, tzinfo=UTC)
        assert tx.subjects.version("ada") == 1
    command.downgrade(alembic_config(engine), "0001")
    assert rows(engine) == whole
    migrate(engine)
    assert rows(engine) == whole


def test_the_newest_template_of_before_is_the_active_one(engine: sa.Engine) -> None:
    command.upgrade(alembic_config(engine), "0004")
    second = OLD_ROWS[2].replace("op_1", "op_2")
    newer = OLD_ROWS[4].replace("op_1", "op_2").replace("tpl_1", "tpl_2").replace("01-03", "01-04")
    with engine.begin() as connection:
        for statement in (*OLD_ROWS, second, newer):
            connection.execute(sa.text(statement))
    migrate(engine)
    with SqlDatabase(engine).transaction() as tx:
        states = {t.template_id: t.state.value for t in tx.templates.of_subject("ada")}
        assert states == {"tpl_1": "retired", "tpl_2": "active"}
        now = datetime(2026, 2, 1, tzinfo=UTC)
        assert tx.templates.activate("ada", "tpl_1", now=now)
    command.downgrade(alembic_config(engine), "0004")
    with engine.connect() as connection:
        order = "SELECT template_id FROM templates ORDER BY created_at DESC"
        assert list(connection.scalars(sa.text(order))) == ["tpl_1", "tpl_2"], "the one in use stays in use"


def test_templates_of_before_name_the_enrollment_that_they_stand_on(engine: sa.Engine) -> None:
    command.upgrade(alembic_config(engine), "0020")
    operation, made = OLD_ROWS[2], OLD_ROWS[4].replace("sealed)", "sealed, state, parent_id, origin)")
    operation = operation.replace("updated_at)", "updated_at, ended_at)").replace(
        "'2026-01-02 00:00:00')", "'2026-01-02 00:00:00', '2026-01-02 00:00:00')"
    )

    def version(number: int, by: str, state: str, parent: str, origin: str) -> str:
        values = made.replace("'tpl_1'", f"'tpl_{number}'").replace("'op_1'", by)
        return values[:-1] + f", '{state}', {parent}, '{origin}')"

    second = operation.replace("op_1", "op_2").replace("'queued', 'queued'", "'succeeded', 'done'")
    second = second.replace("2026-01-02", "2026-01-01")
    statements = (
        *OLD_ROWS[:2],
        operation,
        second,
        version(1, "'op_1'", "retired", "NULL", "enrollment"),
        version(2, "NULL", "retired", "'tpl_1'", "strengthening"),
        version(3, "NULL", "active", "'tpl_2'", "re-enrollment"),
        version(4, "NULL", "retired", "'tpl_gone'", "re-enrollment"),
        version(5, "NULL", "retired", "NULL", "import"),
        version(6, "NULL", "candidate", "'tpl_5'", "re-enrollment"),
        "INSERT INTO kept_evidence (subject_id, template_id, created_at, sealed) "
        "VALUES ('ada', 'tpl_1', '2026-01-03 00:00:00', '')",
    )
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    migrate(engine)
    by = "SELECT enrolled_by FROM templates ORDER BY template_id"
    numbers = "SELECT number FROM operations ORDER BY operation_id"
    with engine.connect() as connection:
        assert list(connection.scalars(sa.text(by))) == ["op_1", "op_1", "op_1", "op_2", None, None]
        assert connection.scalar(sa.text("SELECT enrolled_by FROM kept_evidence")) == "op_1"
        assert list(connection.scalars(sa.text(numbers))) == [2, 1]
    command.downgrade(alembic_config(engine), "0020")
    migrate(engine)
    with engine.connect() as connection:
        assert list(connection.scalars(sa.text(by)))[:3] == ["op_1"] * 3


def test_subjects_of_whom_nothing_was_stored_go_and_batches_forget_names(engine: sa.Engine) -> None:
    command.upgrade(alembic_config(engine), "0022")
    moment = "'2026-01-01 00:00:00'"
    with engine.begin() as connection:
        for statement in OLD_ROWS:
            connection.execute(sa.text(statement))
        for name in ("left", "renewed", "under-way"):
            at = f"'{datetime.now(UTC):%Y-%m-%d %H:%M:%S}+00:00'" if name == "under-way" else moment
            if engine.dialect.name == "sqlite":
                at = at.replace("+00:00", "")
            subject = OLD_ROWS[0].replace("'ada'", f"'{name}'").replace(moment, at)
            key = OLD_ROWS[1].replace("'ada', 'k'", f"'{name}', 'k-{name}'")
            connection.execute(sa.text(subject))
            connection.execute(sa.text(key))
        connection.execute(
            sa.text(
                "INSERT INTO consents (consent_row, subject_id, consent_id, given_at, swept) "
                f"VALUES ('cns_1', 'renewed', 'c', {moment}, FALSE)"
            )
        )
        for batch_id, listed_at in (("b1", moment), ("b2", "NULL")):
            connection.execute(
                sa.text(
                    "INSERT INTO batches (batch_id, state, selection, target, priority, created_by, moment, "
                    "updated_at, expected, cursor, listed_at) VALUES "
                    f"('{batch_id}', 'done', '{{}}', '{{}}', 0, 'k', {moment}, {moment}, 1, 'ada', "
                    f"{listed_at})"
                )
            )
    migrate(engine)
    with engine.connect() as connection:
        names = "SELECT subject_id FROM {} ORDER BY subject_id"
        for table in ("subjects", "subject_keys"):
            found = list(connection.scalars(sa.text(names.format(table))))
            assert found == ["ada", "renewed", "under-way"]
        cursors = "SELECT cursor FROM batches ORDER BY batch_id"
        assert list(connection.scalars(sa.text(cursors))) == ["", "ada"]


def test_a_log_and_receipts_survive_or_go_with_their_tables(engine: sa.Engine) -> None:
    migrate(engine)
    entry = (
        "INSERT INTO audit_log (sequence, at, actor, action, subject, object_id, outcome, digest) "
        "VALUES (1, '2026-01-01 00:00:00', 'a', 'b', '', '', '', 'd')"
    )
    receipt = (
        "INSERT INTO deletion_receipts (receipt_id, subject_digest, deleted_at, templates, operations, "
        "objects, keys, authentication, exported_at) "
        "VALUES ('r', 'd', '2026-01-01 00:00:00', 1, 1, 1, 1, 'a', '2026-01-01 00:00:00')"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(entry))
        connection.execute(sa.text(receipt))
    for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(sa.text(statement))
    command.downgrade(alembic_config(engine), "0003")
    migrate(engine)
    with SqlDatabase(engine).snapshot() as tx:
        assert [r.receipt_id for r in tx.receipts.unexported(limit=9)] == ["r"], (
            "its tombstone is written again"
        )
        head = tx.audit.head()
        assert head is not None
        assert (head.sequence, list(tx.audit.entries())) == (0, [])
    with engine.begin() as connection:
        connection.execute(sa.text(entry))
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM audit_log"))


def test_several_processes_may_migrate_at_once(postgres: Postgres) -> None:
    program = (
        "import sys; from recon_service.storage.engines import open_engine; "
        "from recon_service.storage.schema import migrate; migrate(open_engine(sys.argv[1]))"
    )
    with postgres.database() as url:
        processes = [subprocess.Popen([sys.executable, "-c", program, url]) for _ in range(3)]
        assert [p.wait(60) for p in processes] == [0, 0, 0]
        engine = open_engine(url)
        assert current_revision(engine) == HEAD
        engine.dispose()


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


def test_sqlite_keeps_what_it_promises(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'recon.sqlite3'}")
    with engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_the_audit_log_counts_beyond_two_billion(engine: sa.Engine) -> None:
    migrate(engine)
    entry = AuditEntry(2**31 + 7, datetime(2026, 1, 2, tzinfo=UTC), "a", "test", digest="d")
    with SqlDatabase(engine).transaction() as tx:
        tx.audit.add(entry)
        assert list(tx.audit.entries(after=2**31)) == [entry]
        assert tx.audit.head() == AuditHead(entry.sequence, "d")
