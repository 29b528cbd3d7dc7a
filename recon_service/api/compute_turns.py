"""Requests that wait for a compute process, in threads of their own.

A compute process may be busy for seconds. Were those who wait for one in the threads that all requests share,
forty of them, of one caller, would keep everybody from being as much as recognized.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync
from fastapi.requests import HTTPConnection

from recon_service.application.errors import Overloaded

THREADS: Final = 40
OF_ONE_CALLER: Final = 16
T = TypeVar("T")
_threads: RunVar[CapacityLimiter] = RunVar("recon_compute_threads")


@dataclass(slots=True)
class ComputeTurns:
    """Of one process. threads: that wait or work at a time; each: of one caller (an API key, a capture
    session).
    """

    threads: int = THREADS
    each: int = OF_ONE_CALLER
    _under_way: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def run(self, caller: str, work: Callable[[], T]) -> T:
        """Raises Overloaded, and what ``work`` raises."""
        limiter = _threads.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self.threads)
            _threads.set(limiter)
        with self._counted(caller):
            return await run_sync(work, limiter=limiter)

    @contextmanager
    def _counted(self, caller: str) -> Iterator[None]:
        with self._lock:
            if self._under_way[caller] >= self.each:
                raise Overloaded(
                    "too many requests of this caller wait for an answer",
                    next_step="Send fewer at a time, and this one again in a few seconds.",
                )
            self._under_way[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[caller] -= 1
                if not self._under_way[caller]:
                    del self._under_way[caller]


async def computed(asked: HTTPConnection, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """``work`` with its arguments, in the name of who asked. Raises Overloaded, and what it raises."""
    turns: ComputeTurns = asked.app.state.compute_turns
    return await turns.run(caller_of(asked), partial(work, *arguments, **named))


def caller_of(asked: HTTPConnection) -> str:
    """Id of the API key or of the capture session; empty before anybody has shown one."""
    key = getattr(asked.state, "api_key", None)
    return str(key.key_id) if key is not None else str(getattr(asked.state, "capture", ""))
