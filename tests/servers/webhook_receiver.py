"""A receiver of webhooks as a customer would write it: it checks signatures and drops what it has seen. And
one that behaves badly, in every way that a test asks for.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from recon_service.application.notifying.webhook_signatures import verify_webhook

Behaviour = Callable[[BaseHTTPRequestHandler], None]


def accept(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, 204)


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def hang(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(30)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: within the limit of every step, never at an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(300):
        handler.wfile.write(b"X")
        handler.wfile.flush()
        time.sleep(0.1)


def flood(handler: BaseHTTPRequestHandler) -> None:
    """An answer without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(b"x" * 65536)


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")


class WebhookReceiver:
    """Listens on a loopback port while the block runs."""

    def __init__(
        self, *behaviours: Behaviour, then: Behaviour = accept, tls: ssl.SSLContext | None = None
    ) -> None:
        """behaviours: of the first requests, in order; then: of all further ones."""
        self.secret = ""
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.ids: list[str] = []
        """Of every genuine request."""
        self.events: dict[str, dict[str, Any]] = {}
        """By id: what a receiver that drops repetitions works with."""
        receiver, coming = self, list(behaviours)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {k.lower(): v for k, v in self.headers.items()}
                receiver.requests.append((headers, body))
                if receiver.secret:
                    event_id = verify_webhook(receiver.secret, headers, body, now=datetime.now(UTC))
                    receiver.ids.append(event_id)
                    receiver.events[event_id] = json.loads(body)
                self.close_connection = True
                (coming.pop(0) if coming else then)(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Whoever hangs up on a bad receiver is right."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https" if tls else "http"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/events", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def __enter__(self) -> WebhookReceiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
