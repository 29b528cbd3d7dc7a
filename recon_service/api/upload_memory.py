"""How much of what callers send one process holds in its memory at a time.

Each request has its limit, and one API key may send many at once: together they could take more memory than
the machine has, and the process with all its other callers would die of it.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from recon_service.api.compute_turns import caller_of
from recon_service.application.errors import Overloaded

REQUESTS: Final = 12
"""So many of the largest that may be are held at a time."""
STATE: Final = "upload_share"
ALONE: Final = 1 << 40


@dataclass(slots=True)
class UploadMemory:
    """limit: bytes of all requests together; of one caller (an API key, a capture session) half as many, so
    that no one alone keeps the others out.
    """

    limit: int
    held: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, count: int, caller: str) -> None:
        """Raises Overloaded."""
        with self._lock:
            if self.held.total() + count > self.limit or self.held[caller] + count > self.limit // 2:
                raise Overloaded(
                    "too much is being sent at this moment",
                    next_step="Send the request again in a few seconds.",
                )
            self.held[caller] += count

    def give_back(self, count: int, caller: str) -> None:
        """The request has been answered."""
        with self._lock:
            self.held[caller] -= count
            if not self.held[caller]:
                del self.held[caller]


@dataclass(slots=True)
class Share:
    """What one request holds."""

    memory: UploadMemory
    caller: str = ""
    count: int = 0

    def take(self, count: int) -> None:
        """Bytes that have come. Raises Overloaded."""
        self.memory.take(count, self.caller)
        self.count += count


class UploadShares:
    """ASGI middleware: gives each request a share, and takes it back when it has been answered."""

    def __init__(self, app: ASGIApp, *, memory: UploadMemory) -> None:
        self._app, self._memory = app, memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        share = Share(self._memory)
        scope.setdefault("state", {})[STATE] = share
        try:
            await self._app(scope, receive, send)
        finally:
            self._memory.give_back(share.count, share.caller)


def share_of(request: Request) -> Share:
    """Of this request, in the name of who sent it. Without the middleware it counts alone."""
    share: Share = request.scope.get("state", {}).get(STATE) or Share(UploadMemory(ALONE))
    if not share.count:
        share.caller = caller_of(request)
    return share
