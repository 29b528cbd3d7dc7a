"""Bodies that the framework reads as JSON: few bytes, and not slowly. Forms and files are read under limits
of their own (``uploads.py``); what arrives after the body is done, as a client that goes away, passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_JSON_BYTES: Final = 1_000_000


class BodyLimits:
    """ASGI middleware. endpoints: the routes; those with a body field are read by the framework. seconds: for
    a whole body.
    """

    def __init__(self, app: ASGIApp, *, endpoints: Sequence[Any], seconds: float) -> None:
        self._app, self._endpoints, self._seconds = app, endpoints, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not self._reads_json(scope):
            await self._app(scope, receive, send)
            return
        clock = asyncio.get_running_loop()
        received, done, end = 0, False, clock.time() + self._seconds

        async def limited() -> Message:
            nonlocal received, done
            if done:
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            received += len(message.get("body", b""))
            done = not message.get("more_body", False)
            if received > MAX_JSON_BYTES:
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)

    def _reads_json(self, scope: Scope) -> bool:
        names = {name for name, _ in scope["headers"]}
        if not names & {b"content-length", b"transfer-encoding"} and scope["http_version"] != "2":
            return False  # there is no body
        return any(
            route.body_field is not None and route.matches(scope)[0] is Match.FULL
            for route in self._endpoints
        )
