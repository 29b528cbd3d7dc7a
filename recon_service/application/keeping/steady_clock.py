"""Whether the clock can be believed enough to destroy something by it.

A clock that jumps into the future would make every consent look ended. No process can know the true time, but
a jump leaves traces: the clock moves otherwise than the monotonic one beside it, than the database's, or than
what this and other processes noted at their last sweep. After any of them nothing is destroyed for a while,
so that a clock that is put right again, or an operator who reads the warning, comes in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

TOLERANCE: Final = timedelta(seconds=90)
"""Between clocks of one installation, and for how late a sweep may come."""
LONG_AWAY: Final = timedelta(days=2)
"""When nobody has swept for longer, either the service was off or the clock is wrong."""


@dataclass(slots=True)
class ClockWatch:
    """Of one process. hold: how long its clock must have run evenly before it is believed. long_hold: the
    same after a gap that may be a wrong clock. In one thread only.
    """

    hold: timedelta = timedelta(hours=1)
    long_hold: timedelta = timedelta(hours=24)
    doubt: str = ""
    """Why it is not believed, of the last observation; empty: it is."""
    _wall: datetime | None = None
    _monotonic: float = 0.0
    _since: float = 0.0
    _needed: timedelta = timedelta(0)

    def believes(
        self, wall: datetime, *, monotonic_s: float, database: datetime, noted: datetime | None
    ) -> bool:
        """wall: the process's clock; monotonic_s: its monotonic one, both now. database: the clock of the
        database. noted: the wall clock of the last sweep of any process, None at the very first.
        """
        trace, needed = self._trace(wall, monotonic_s, database, noted)
        if trace or self._wall is None:
            self._since, self._needed = monotonic_s, needed
        self._wall, self._monotonic = wall, monotonic_s
        waited = timedelta(seconds=monotonic_s - self._since)
        self.doubt = trace or ("it has not run evenly for long enough" if waited < self._needed else "")
        return not self.doubt

    def _trace(
        self, wall: datetime, monotonic_s: float, database: datetime, noted: datetime | None
    ) -> tuple[str, timedelta]:
        if abs(wall - database) > TOLERANCE:
            return "it differs from the clock of the database", self.hold
        if self._wall is None:
            away = noted is not None and wall - noted > LONG_AWAY
            return "", self.long_hold if away else self.hold
        moved = wall - self._wall
        if abs(moved - timedelta(seconds=monotonic_s - self._monotonic)) > TOLERANCE:
            return "it has jumped", self.long_hold if moved > LONG_AWAY else self.hold
        if noted is not None and abs(noted - self._wall) > TOLERANCE + abs(moved):
            return "another process has another time", self.long_hold
        return "", self._needed
