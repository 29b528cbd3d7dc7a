"""How long something that failed waits for its next attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

FACTOR: Final = 4
LONGEST: Final = timedelta(minutes=15)
"""Of a job that somebody waits for. However many attempts the settings allow, the next one comes."""
CLOCKS_DIFFER: Final = timedelta(seconds=30)
"""So far the clocks of two machines may be apart before one is taken for wrong."""


def wait_after(attempts: int, *, first: timedelta, longest: timedelta = LONGEST) -> timedelta:
    """``first`` after the first attempt, four times as long after each further one, up to ``longest``."""
    wait = first
    for _ in range(attempts - 1):
        if wait >= longest:
            break
        wait *= FACTOR
    return min(wait, longest)
