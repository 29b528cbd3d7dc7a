"""Around every request: an id, its place in a trace, one line in the log, careful headers, and an answer even
for what nobody foresaw.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recon_service.api.problems import internal_fault
from recon_service.application.ports.vault import Vault
from recon_service.telemetry.bundle import Telemetry
from recon_service.telemetry.context import TraceContext
from recon_service.telemetry.traces import Span

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_PROBES: Final = ("/livez", "/readyz")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_NOTHING_EMBEDDED: Final = "default-src 'none'; frame-ancestors 'none'"


class RequestFrame:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp, *, vault: Vault, telemetry: Telemetry) -> None:
        self._app = app
        self._vault = vault
        self._metrics, self._traces = telemetry.metrics, telemetry.traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = request.headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        request.state.request_id = request_id
        started, status, streamed = time.perf_counter(), 0, False

        async def send_framed(message: Message) -> None:
            nonlocal status, streamed
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                streamed = headers.get("content-type", "").startswith("text/event-stream")
                headers["X-Request-ID"] = request_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", _NOTHING_EMBEDDED)
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        above = TraceContext.parse(request.headers.get("traceparent", ""))
        with self._traces.span("request", parent=above, kind="server") as span:
            request.state.traceparent = span.context.header
            try:
                await self._app(scope, receive, send_framed)
            except Exception as fault:
                structlog.get_logger().error("unforeseen fault", exc_info=fault)
                if status == 0:
                    await internal_fault(request)(scope, receive, send_framed)
            finally:
                self._tell(request, status, time.perf_counter() - started, span, streamed=streamed)

    def _tell(
        self, request: Request, status: int, seconds: float, span: Span, *, streamed: bool = False
    ) -> None:
        # The route's pattern, not the path: the path holds the subject's id.
        route = str(getattr(request.scope.get("route"), "path", "unmatched"))
        span.set(method=request.method[:10], route=route, status=status)
        # How long somebody watches an operation says nothing about the service.
        timed = None if streamed else seconds
        self._metrics.request(method=request.method, route=route, status=status, seconds=timed)
        fields: dict[str, object] = {
            "method": request.method,
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 1),
        }
        if subject_id := request.path_params.get("subject_id"):
            fields["subject"] = self._vault.digest("log", str(subject_id).encode())[:12]
        if key := getattr(request.state, "api_key", None):
            fields["api_key"] = key.key_id
        if code := getattr(request.state, "problem_code", None):
            fields["problem"] = code
            span.set(problem=code)
            self._metrics.problem(code)
        log = structlog.get_logger()
        if fields["route"] in _PROBES:
            log.debug("request", **fields)
        elif status >= 500 or status == 0:
            log.warning("request", **fields)
        else:
            log.info("request", **fields)
