"""The clock of the database, for all processes that share it.

Leases are moments: a worker's last sign of life is written by one machine and judged by another. Machines
whose own clocks are minutes apart would take each other's work for abandoned. So all of them go by the
clock of the database, which each asks now and then and carries on by a clock that nobody sets.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from recon_service.application.ports.stores import utc_now

RENEWED_S: Final = 10.0
"""How long the last answer is carried on."""


def ticks() -> float:
    """Seconds that go on whatever happens to the time of day, and, on Linux, while a machine is suspended."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class DatabaseClock:
    """Call it for the time. own: of this process, until the database was asked. One for all threads."""

    def __init__(
        self, own: Callable[[], datetime] = utc_now, *, counting: Callable[[], float] = ticks
    ) -> None:
        self._own, self._counting = own, counting
        self._known: tuple[datetime, float] | None = None
        self._asked = 0.0

    def __call__(self) -> datetime:
        """What the database's clock shows now, in UTC."""
        if self._known is None:
            return self._own()
        moment, at = self._known
        return moment + timedelta(seconds=self._counting() - at)

    def renew(self, connection: sa.Connection) -> None:
        """Ask, when the last answer is old. Where the clock agrees with the answer as well as can be told, it
        stays as it is: a moment must not come before one that was read earlier for nothing.
        """
        before = self._counting()
        if self._known is not None and before - self._asked < RENEWED_S:
            return
        moment = time_of(connection)
        after = self._counting()
        self._asked = after
        halfway = (before + after) / 2
        if self._known is not None:
            known, at = self._known
            apart = abs(known + timedelta(seconds=halfway - at) - moment)
            if apart <= timedelta(seconds=after - before):
                return
        self._known = (moment, halfway)


def time_of(connection: sa.Connection) -> datetime:
    """SQLite has the clock of this machine, PostgreSQL that of its server."""
    if connection.dialect.name == "postgresql":
        moment: datetime = connection.scalar(sa.text("SELECT clock_timestamp()"))
        return moment.astimezone(UTC)
    text = connection.scalar(sa.text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')"))
    return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
