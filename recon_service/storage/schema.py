"""Bringing a database to the schema that this code speaks."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import exc

from recon_service.application.errors import StorageUnavailable
from recon_service.domain.errors import Conflict, InvalidValue, StorageFault

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0024"
"""The newest migration. Known here so that a start with a current database need not load Alembic; a test
holds it true.
"""

APPLICATION_NAME = "recon-service"
"""How PostgreSQL knows every connection of the service."""
LOOKS = 10
_log = logging.getLogger(__name__)


def current_revision(engine: sa.Engine) -> str | None:
    """The migration that the database stands at, None for an empty one."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def downgrade(
    engine: sa.Engine, revision: str, *, alone: AbstractContextManager[object] | None = None
) -> None:
    """Back to an older migration. alone: as for ``migrate``. Raises InvalidValue for one that is not older,
    or that is none; Conflict while another process has PostgreSQL open.
    """
    stands = current_revision(engine)
    known = {path.name[:4] for path in (Path(__file__).parent / "migrations/versions").glob("[0-9]*_*.py")}
    if stands is None or revision not in known or revision >= stands:
        raise InvalidValue(
            f"{revision[:20]} is no migration before {stands or 'the first'}, where the database stands",
            next_step="Ask the older version which one it has: recon database show.",
        )
    from alembic import command

    with alone or nullcontext():
        _refuse_while_others_run(engine)
        command.downgrade(alembic_config(engine), revision)


def _refuse_while_others_run(engine: sa.Engine) -> None:
    """By the name that every process of the service gives its connections."""
    if engine.dialect.name != "postgresql":
        return
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = :service AND pid <> pg_backend_pid()"
    )
    for look in range(LOOKS):
        with engine.connect() as connection:
            found = connection.scalar(sa.text(others), {"service": APPLICATION_NAME})
        if not found:
            return
        time.sleep(0.2 if look + 1 < LOOKS else 0)  # the server lets go of what was just stopped
    raise Conflict(
        f"the service still runs: {found} connections of it are open",
        next_step="Stop every process of the service: APIs, workers, and commands.",
    )


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

    try:
        with alone if revision is not None else nullcontext():
            if revision is not None:
                # With years of rows that takes minutes: nobody should take it for a process that hangs.
                _log.warning("the database is brought from migration %s to %s", revision, HEAD)
            command.upgrade(alembic_config(engine), "head")
            if revision is not None:
                _log.warning("the database is at migration %s", HEAD)
    except Conflict as busy:
        raise Conflict(
            f"the database is at migration {revision}, this version has {HEAD}, and {busy.detail}",
            next_step="Stop that service; its next start, or this command, brings the database forward.",
        ) from busy


def alembic_config(engine: sa.Engine) -> Config:
    """Alembic's configuration for this engine, without an ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    return config
