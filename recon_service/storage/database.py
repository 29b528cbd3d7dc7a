"""The database behind the port ``Database``: SQLite in a file for one machine; any other SQLAlchemy URL
speaks the same tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from recon_service.domain.errors import Conflict, StorageFault
from recon_service.storage.access import SqlApiKeys, SqlIdempotency, SqlReceipts
from recon_service.storage.identities import SqlSelfies, SqlSubjects, SqlTemplates
from recon_service.storage.jobs import SqlOperations

BUSY_TIMEOUT_MS = 10_000


class SqlTransaction:
    """All repositories on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @cached_property
    def subjects(self) -> SqlSubjects:
        """Subjects and their keys."""
        return SqlSubjects(self._connection)

    @cached_property
    def operations(self) -> SqlOperations:
        """Jobs."""
        return SqlOperations(self._connection)

    @cached_property
    def selfies(self) -> SqlSelfies:
        """Where selfies lie."""
        return SqlSelfies(self._connection)

    @cached_property
    def templates(self) -> SqlTemplates:
        """Encrypted templates."""
        return SqlTemplates(self._connection)

    @cached_property
    def idempotency(self) -> SqlIdempotency:
        """Idempotency-Keys."""
        return SqlIdempotency(self._connection)

    @cached_property
    def api_keys(self) -> SqlApiKeys:
        """API keys."""
        return SqlApiKeys(self._connection)

    @cached_property
    def receipts(self) -> SqlReceipts:
        """Receipts of deletions."""
        return SqlReceipts(self._connection)


class SqlDatabase:
    """Transactions on an engine."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """Committed at the end of the block, rolled back when it raises."""
        with _faults(), self.engine.begin() as connection:
            yield SqlTransaction(connection)

    @contextmanager
    def snapshot(self) -> Iterator[SqlTransaction]:
        """For reading; on SQLite it neither waits for a writer nor holds one up."""
        with (
            _faults(),
            self.engine.connect().execution_options(recon_reads_only=True) as connection,
            connection.begin(),
        ):
            yield SqlTransaction(connection)

    def check(self) -> None:
        """Raises StorageFault unless the database answers."""
        with self.snapshot() as tx:
            tx.api_keys.get("")

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def open_engine(url: str) -> sa.Engine:
    """An engine for ``url`` with the manners that the service relies on."""
    engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own idea of when a transaction starts comes too late for us: see _begin_sqlite.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",  # readers do not wait for the writer
        "synchronous=FULL",  # acknowledged means on the disk
        "foreign_keys=ON",
        "secure_delete=ON",  # what is deleted is overwritten, not only unlinked
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes the lock at once: a transaction that reads first and writes later could only fail, not
    # wait.
    reads_only = connection.get_execution_options().get("recon_reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


@contextmanager
def _faults() -> Iterator[None]:
    """SQLAlchemy's exceptions as ours; the statement's parameters never get into a message."""
    try:
        yield
    except exc.IntegrityError as fault:
        raise Conflict(
            "what was to be stored contradicts what is there", next_step="Send the request again."
        ) from fault
    except (exc.SQLAlchemyError, sqlite3.Error) as fault:
        raise StorageFault(
            "the database failed", next_step="Look at the log and the disk of the database."
        ) from fault
