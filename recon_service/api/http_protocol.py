"""HTTP/1.1 as uvicorn speaks it, for strangers who take their time.

Uvicorn waits for ever for the head of a request, and for the rest of a body that nobody reads after its
answer: a few thousand such connections, for which nobody needs a key, use up the descriptors of the process.
Here a connection on which nothing is being served ends soon. What is being served has limits of its own.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol


class ImpatientProtocol(H11Protocol):
    """head_s: from the connection, or from the answer before, until the head of a request is there."""

    head_s: ClassVar[float] = 10.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is awaited."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes alone win no time, a whole head does."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """The next head is awaited, whatever is left of this body."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        served = self.cycle is not None and not self.cycle.response_complete
        if served or self.transport.get_protocol() is not self:  # else it is a WebSocket by now
            self._forget()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.head_s, self.transport.close)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
