"""Clocks that jump and differ: on the path of a service's processes, it moves what they take for the time,
the database's clock too, by as many seconds as the file named by CHAOS_CLOCK says at that moment; and the
own clock of each process by some minutes more. Python loads a module of this name at its start.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

if _FILE := os.environ.get("CHAOS_CLOCK"):
    import recon_service.application.ports.stores as stores
    from recon_service.storage.database_clock import DatabaseClock

    APART = timedelta(minutes=10 * (os.getpid() % 5 - 2))
    shown = DatabaseClock.__call__

    def jumped() -> timedelta:
        try:
            return timedelta(seconds=float(Path(_FILE).read_text() or 0))
        except (OSError, ValueError):
            return timedelta(0)

    class Jumping(datetime):
        """The time, and what the file says."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + jumped() + APART

    stores.datetime = Jumping  # type: ignore[misc]
    DatabaseClock.__call__ = lambda clock: shown(clock) + jumped()  # type: ignore[method-assign]
