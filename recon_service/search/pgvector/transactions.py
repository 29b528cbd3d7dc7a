"""How long a search works and waits in the database, which rows it holds, and what is said where the database
refuses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from recon_service.application.errors import StorageUnavailable
from recon_service.application.searching.reference_feed import ReferencesNotReady
from recon_service.domain.errors import StorageFault

WAIT_MS: Final = 2000
SCAN_MS: Final = 30_000
RETRY_S: Final = 0.02
LOCKED: Final = "55P03"
_OTHERS_AT_IT: Final = (LOCKED, "57014")
"""SQLSTATE of a lock that was not to be had in time, and of a statement that took too long."""
_LOCK = (
    "SELECT t.template_id, t.state FROM templates t WHERE t.template_id IN ("
    "SELECT unnest(CAST(:ids AS text[])) UNION ALL SELECT o.template_id "
    "FROM templates a JOIN templates o ON o.subject_id = a.subject_id "
    "WHERE a.template_id = ANY(:ids) AND a.state = 'active' AND o.state = 'retired' "
    "AND (o.model, o.calibration) <> (a.model, a.calibration)) FOR SHARE OF t NOWAIT"
)


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """No statement of it takes longer than SCAN_MS. Raises ReferencesNotReady where others are at it,
    StorageUnavailable, StorageFault.
    """
    try:
        with engine.begin() as connection:
            connection.execute(sa.text(f"SET LOCAL statement_timeout = {SCAN_MS}"))
            # One search, one core: what others do must not wait for it.
            connection.execute(sa.text("SET LOCAL max_parallel_workers_per_gather = 0"))
            yield connection
    except exc.TimeoutError as fault:
        raise StorageUnavailable("no connection to the database was free in time") from fault
    except exc.DBAPIError as fault:
        if getattr(fault.orig, "sqlstate", "") in _OTHERS_AT_IT:
            raise ReferencesNotReady(
                "the references are being loaded",
                next_step="Send the request again after the time in Retry-After.",
            ) from None
        if isinstance(fault, exc.OperationalError):
            raise StorageUnavailable("the database does not answer") from fault
        raise StorageFault("the search in the database failed") from fault


def limit_waiting(connection: sa.Connection) -> None:
    """No lock is waited for longer than WAIT_MS until the transaction ends."""
    connection.execute(sa.text(f"SET LOCAL lock_timeout = {WAIT_MS}"))


def locked(connection: sa.Connection, template_ids: Sequence[str]) -> dict[str, str]:
    """The states of those that are there, and nobody changes them before the transaction ends; nor former
    versions of other models, whose destruction takes the vector of the one in force along.

    Nobody is waited for while a lock is held: who waits for us may hold what we want, and would be the one
    whom the server ends.
    """
    deadline = time.monotonic() + WAIT_MS / 1000
    while True:
        try:
            with connection.begin_nested():
                rows = connection.execute(sa.text(_LOCK), {"ids": list(template_ids)})
                return {row.template_id: row.state for row in rows}
        except exc.OperationalError as fault:
            if getattr(fault.orig, "sqlstate", "") != LOCKED or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_S)
