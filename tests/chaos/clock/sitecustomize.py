"""A clock that jumps: on the path of a service's processes, it moves what they take for the time by as many
seconds as the file named by CHAOS_CLOCK says at that moment. Python loads a module of this name at its start.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

if _FILE := os.environ.get("CHAOS_CLOCK"):
    import recon_service.application.ports.stores as stores

    class Jumping(datetime):
        """The time, and what the file says."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            try:
                offset = float(Path(_FILE).read_text() or 0)
            except (OSError, ValueError):
                offset = 0.0
            return datetime.now(tz) + timedelta(seconds=offset)

    stores.datetime = Jumping  # type: ignore[misc]
