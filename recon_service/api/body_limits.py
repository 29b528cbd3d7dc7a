"""Bodies that the framework reads as JSON: of those alone who may send them, few bytes, and not slowly. Forms
and files are read under limits of their own (``uploads.py``); what arrives after the body is done, as a
client that goes away, passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recon_service.api.problems import problem_of
from recon_service.api.security import Needs
from recon_service.domain.errors import ReconError

MAX_JSON_BYTES: Final = 1_000_000


class BodyLimits:
    """ASGI middleware. endpoints: the routes; those with a body field are read by the framework. seconds: for
    a whole body.
    """

    def __init__(self, app: ASGIApp, *, endpoints: Sequence[Any], seconds: float) -> None:
        self._app, self._endpoints, self._seconds = app, endpoints, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._reading(scope) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        try:
            # The framework asks only after it has read a body: strangers would fill the memory with theirs.
            await _admit(route, Request(scope))
        except ReconError as refusal:
            scope["route"] = route  # for the log
            await (await run_in_threadpool(problem_of, Request(scope), refusal))(scope, receive, send)
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

    def _reading(self, scope: Scope) -> Any:
        """The endpoint that has its body read by the framework; None: there is none, or no body."""
        names = {name for name, _ in scope["headers"]}
        if not names & {b"content-length", b"transfer-encoding"} and scope["http_version"] != "2":
            return None
        reading = (route for route in self._endpoints if route.body_field is not None)
        return next((route for route in reading if route.matches(scope)[0] is Match.FULL), None)


async def _admit(route: Any, request: Request) -> None:
    """Raises what the endpoint's need of a key raises."""
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, Needs):
            await run_in_threadpool(dependency.call, request)
