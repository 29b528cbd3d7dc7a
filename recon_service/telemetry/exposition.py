"""``GET /metrics`` on an address of its own: numbers about everybody's work are for the operators, and must
be there when the database is not, so they have neither the API's port nor its keys.
"""

from __future__ import annotations

import hmac
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from recon_service.domain.errors import Conflict, InsecureConfiguration
from recon_service.settings import Settings
from recon_service.storage.connections import is_local

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LIMIT_S: Final = 10.0
MIN_TOKEN: Final = 16


class MetricsServer:
    """Answers in threads of its own."""

    def __init__(self, text: Callable[[], bytes], *, host: str, port: int, token: str = "") -> None:
        """Listens at once. token: what a caller must show; only the loopback interface may do without.

        Raises InsecureConfiguration, Conflict (the port is taken).
        """
        refuse_open_metrics(host, token)
        handler = type("_Handler", (_Handler,), {"text_of": staticmethod(text), "token": token.encode()})
        try:
            self._server = _server_class(host)((host, port), handler)
        except OSError as fault:
            raise Conflict(
                f"metrics cannot listen on {host}:{port}: {fault.strerror}",
                next_step="Choose another with RECON_METRICS_PORT.",
            ) from fault
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="recon-metrics", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def refuse_open_metrics(host: str, token: str) -> None:
    """Raises InsecureConfiguration for an address that others reach without a token."""
    if host and is_local(host):
        return
    if len(token) < MIN_TOKEN:
        raise InsecureConfiguration(
            f"metrics on {host or 'every address'} would be for everybody to read",
            next_step=f"Set RECON_METRICS_TOKEN_FILE to a file with at least {MIN_TOKEN} characters "
            "(openssl rand -hex 24), or leave RECON_METRICS_HOST at 127.0.0.1.",
        )


def metrics_token(settings: Settings) -> str:
    """What the settings say. Raises InsecureConfiguration for a file that cannot be read."""
    if settings.metrics_token is not None:
        return settings.metrics_token.get_secret_value()
    if settings.metrics_token_file is None:
        return ""
    try:
        return settings.metrics_token_file.read_text().strip()
    except OSError as fault:
        raise InsecureConfiguration(
            "the file of RECON_METRICS_TOKEN_FILE cannot be read", next_step="Correct its path or rights."
        ) from fault


def open_metrics(settings: Settings, text: Callable[[], bytes]) -> MetricsServer | None:
    """What the settings ask for. Raises InsecureConfiguration, Conflict."""
    if not settings.metrics_port:
        return None
    return MetricsServer(
        text, host=settings.metrics_host, port=settings.metrics_port, token=metrics_token(settings)
    )


class _Handler(BaseHTTPRequestHandler):
    text_of: Callable[[], bytes]
    token: bytes
    timeout = LIMIT_S
    server_version, sys_version = "recon-metrics", ""

    def do_GET(self) -> None:
        if self.path.split("?")[0] != "/metrics":
            self._answer(404, b"the metrics are at /metrics\n")
        elif not self._allowed():
            self._answer(401, b"a bearer token is needed\n")
        else:
            self._answer(200, type(self).text_of())

    def _allowed(self) -> bool:
        kind, _, offered = self.headers.get("Authorization", "").partition(" ")
        if not self.token:
            return True
        return kind.lower() == "bearer" and hmac.compare_digest(offered.strip().encode(), self.token)

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Not a line per scrape."""


def _server_class(host: str) -> type[ThreadingHTTPServer]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return type("_Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
