"""Watching, from outside, how much memory a compute process uses: decoders do not count it themselves."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from typing import Final

from recon_service.application.errors import MemoryLimitReached
from worker.child_limits import resident_bytes

INTERVAL_S: Final = 0.05
"""In which memory can grow by some hundred megabytes: pages are given out one by one."""


class MemoryWatch:
    """Of one process that has just loaded its models. limit_mb: beyond what it takes now; 0: any."""

    def __init__(self, pid: int, limit_mb: int) -> None:
        self._pid = pid
        self._allowed = resident_bytes(pid) + limit_mb * 1_000_000 if limit_mb else 0

    def wait(self, connection: Connection, deadline: float) -> bool:
        """Until there is something to receive; False: ``deadline`` (of the monotonic clock) came first.

        Raises MemoryLimitReached.
        """
        while True:
            left = max(0.0, deadline - time.monotonic())
            if connection.poll(min(left, INTERVAL_S) if self._allowed else left):
                return True
            if left == 0.0:
                return False
            if self._allowed and resident_bytes(self._pid) > self._allowed:
                raise too_much_memory()


def too_much_memory() -> MemoryLimitReached:
    """The error, and what to do."""
    return MemoryLimitReached(
        "the work needed more memory than it may use", next_step="Send smaller pictures or fewer frames."
    )
