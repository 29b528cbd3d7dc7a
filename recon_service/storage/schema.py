"""Bringing a database to the schema that this code speaks."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import exc

from recon_service.application.errors import StorageUnavailable
from recon_service.domain.errors import InvalidValue, StorageFault

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0022"
"""The newest migration. Known here so that a start with a current database need not load Alembic; a test
holds it true.
"""


def current_revision(engine: sa.Engine) -> str | None:
    """The migration that the database stands at, None for an empty one."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Back to an older migration. Raises InvalidValue for one that is not older, or that is none."""
    stands = current_revision(engine)
    known = {path.name[:4] for path in (Path(__file__).parent / "migrations/versions").glob("[0-9]*_*.py")}
    if stands is None or revision not in known or revision >= stands:
        raise InvalidValue(
            f"{revision[:20]} is no migration before {stands or 'the first'}, where the database stands",
            next_step="Ask the older version which one it has: recon database show.",
        )
    from alembic import command

    command.downgrade(alembic_config(engine), revision)


def migrate(engine: sa.Engine, *, alone: AbstractContextManager[object] | None = None) -> None:
    """Bring the database to HEAD. alone: entered before anything is changed in a database that is not empty;
    what it raises keeps the database as it is. Raises StorageFault when it is newer than this code,
    StorageUnavailable.
    """
    try:
        _migrate(engine, alone or nullcontext())
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as fault:
        raise StorageUnavailable(
            "the database does not answer", next_step="Start it, or correct RECON_DATABASE_URL."
        ) from fault


def _migrate(engine: sa.Engine, alone: AbstractContextManager[object]) -> None:
    revision = current_revision(engine)
    if revision == HEAD:
        return
    if revision is not None and revision > HEAD:
        raise StorageFault(
            f"the database is at migration {revision}, this version of the service knows {HEAD}",
            next_step="Start the version that made it, or a newer one.",
        )
    from alembic import command

    with alone if revision is not None else nullcontext():
        command.upgrade(alembic_config(engine), "head")


def alembic_config(engine: sa.Engine) -> Config:
    """Alembic's configuration for this engine, without an ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    return config
