"""Engines with the manners that the service relies on: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from recon_service.domain.errors import InsecureConfiguration
from recon_service.storage.schema import APPLICATION_NAME

BUSY_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class DatabaseLimits:
    """How many connections one process may hold, and how long it waits. All times in seconds.

    connect: for a connection to be made; checkout: for one of the pool to be free; statement and lock: for
    the server to finish or to get a row.
    """

    connections: int = 10
    connect: float = 5.0
    checkout: float = 5.0
    statement: float = 30.0
    lock: float = 10.0


def open_engine(url: str, limits: DatabaseLimits = DatabaseLimits()) -> sa.Engine:
    """An engine for ``url`` with the manners that the service relies on. Raises InsecureConfiguration for a
    URL that is none, without repeating it: it holds a password.
    """
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise _unknown_url() from None
    kind = parsed.get_backend_name()
    if kind in ("postgresql", "postgres"):
        return _open_postgresql(parsed.set(drivername="postgresql+psycopg"), limits)
    if kind != "sqlite":
        raise _unknown_url()
    if parsed.database and not parsed.database.startswith((":memory:", "file:")):
        _make_private(parsed.database)
    engine = sa.create_engine(parsed, hide_parameters=True)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: str) -> None:
    """A new file is for its owner alone, whoever may look into its folder; what SQLite lays beside it (the
    log, its index) gets the same rights.
    """
    with suppress(OSError):  # it is there, or cannot be: the first connection tells
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _unknown_url() -> InsecureConfiguration:
    return InsecureConfiguration(
        "RECON_DATABASE_URL is not the address of a SQLite or PostgreSQL database",
        next_step="For example: postgresql://user:password@host/database?sslmode=verify-full",
    )


def _open_postgresql(url: sa.URL, limits: DatabaseLimits) -> sa.Engine:
    milliseconds = {
        "statement_timeout": limits.statement,
        "lock_timeout": limits.lock,
        # A process that stalls in a transaction must not hold its rows for good.
        "idle_in_transaction_session_timeout": 2 * limits.statement,
    }
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # a restarted server costs nobody an error
        pool_size=limits.connections,
        max_overflow=0,
        pool_timeout=limits.checkout,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": max(2, round(limits.connect)),
            "application_name": APPLICATION_NAME,
            "options": " ".join(f"-c {name}={round(1000 * s)}" for name, s in milliseconds.items()),
            # A server that vanished without a word is noticed within half a minute.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        },
    )


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
