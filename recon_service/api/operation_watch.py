"""Everybody who follows an enrollment, with one question to the database for all of them together.

A question of each of them, ten times a second, would be more work than the enrollments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from fastapi.concurrency import run_in_threadpool

POLL_S: Final = 0.1
Versions = Callable[[Sequence[str]], Mapping[str, int]]


class OperationWatch:
    """versions: of the operations that are there, in a thread. Each event loop asks for its own."""

    def __init__(self, versions: Versions, *, poll_s: float = POLL_S) -> None:
        self._versions, self._poll_s = versions, poll_s
        self._waiting: dict[asyncio.Future[None], tuple[str, int]] = {}
        self._asking: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]] = WeakKeyDictionary()

    async def changed(self, operation_id: str, version: int, *, limit_s: float) -> bool:
        """Whether the operation is at another version than this, or gone; False: not within the limit. Raises
        what keeps the database from answering.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[None] = loop.create_future()
        self._waiting[told] = (operation_id, version)
        asking = self._asking.get(loop)
        if asking is None or asking.done():
            self._asking[loop] = loop.create_task(self._ask(loop))
        try:
            async with asyncio.timeout(limit_s):
                await told
        except TimeoutError:
            return False
        finally:
            self._waiting.pop(told, None)
        return True

    async def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            waiting = {told: what for told, what in list(self._waiting.items()) if told.get_loop() is loop}
            if not waiting:
                return
            try:
                names = sorted({operation_id for operation_id, _ in waiting.values()})
                now = await run_in_threadpool(self._versions, names)
            except Exception as fault:
                for told in waiting:
                    if not told.done():
                        told.set_exception(fault)
                continue
            for told, (operation_id, version) in waiting.items():
                if now.get(operation_id) != version and not told.done():
                    told.set_result(None)
