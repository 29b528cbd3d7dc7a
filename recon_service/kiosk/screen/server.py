"""The page of a kiosk over HTTP, for the browser in front of the person and for the till beside it.

It shows somebody's face, so it is served on the loopback interface only, under an address that holds a
random token, to nobody who names another host (a page elsewhere that resolves its own name to this
machine), and with a content security policy that loads nothing from elsewhere.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Final

from recon_service.kiosk.screen.address import new_token
from recon_service.kiosk.screen.state import Shown, as_event

FILES: Final = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    "words.json": ("words.json", "application/json"),
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEARTBEAT_S: Final = 10.0
MAX_BODY: Final = 1_000
BOUNDARY: Final = "recon-frame"

Ask = Callable[[str], dict[str, Any]]
"""Runs a visit for a subject and gives its result as JSON; raises Busy while another is under way."""


class Busy(Exception):
    """A visit is under way."""


class Screen:
    """Serves ``shown`` until it is closed. ask: what a till's request for a visit does. cancel: ends a
    visit. token: of the address (``address.py``); empty: a new one.
    """

    def __init__(
        self, shown: Shown, ask: Ask, cancel: Callable[[], None], *, port: int = 0, token: str = ""
    ) -> None:
        self._token = token or new_token()
        self._shown = shown

        class Handler(_Handler):
            pass

        Handler.shown, Handler.token = shown, self._token
        Handler.ask, Handler.cancel = staticmethod(ask), staticmethod(cancel)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._port = Handler.port = int(self._server.server_address[1])
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="screen")
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the page is; whoever knows it can see it, on this machine."""
        return f"http://127.0.0.1:{self._port}/{self._token}/"

    def close(self) -> None:
        """End all answers and stop listening."""
        self._shown.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "recon-kiosk"
    sys_version = ""
    shown: Shown
    ask: Ask
    cancel: Callable[[], None]
    token: str
    port: int

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            return
        if path == "events":
            self._events()
        elif path == "preview":
            self._previews()
        elif path in FILES:
            name, kind = FILES[path]
            self._send(HTTPStatus.OK, files(__package__).joinpath("page", name).read_bytes(), kind)
        else:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "not-found"})

    def do_POST(self) -> None:
        path = self._path()
        if path is None:
            return
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{self.headers.get('Host', '')}":
            self._send_json(HTTPStatus.FORBIDDEN, {"error": "other-origin"})
            return
        body = self._body()
        if body is None:
            return
        if path == "cancel":
            type(self).cancel()
            self._send_json(HTTPStatus.OK, {})
        elif path == "visits":
            self._visit(body)
        else:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "not-found"})

    def _visit(self, body: bytes) -> None:
        try:
            subject = json.loads(body)["subject_id"]
            if not isinstance(subject, str) or not 1 <= len(subject) <= 64:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            self._send_json(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": "subject_id is needed"})
            return
        try:
            result = type(self).ask(subject)
        except Busy:
            self._send_json(HTTPStatus.CONFLICT, {"error": "visit-under-way"})
            return
        self._send_json(HTTPStatus.OK, result)

    def _events(self) -> None:
        self._head(HTTPStatus.OK, "text/event-stream", length=None)
        last = -1
        while not self.shown.closed:
            state = self.shown.wait_state(last, HEARTBEAT_S)
            if state is not None:
                last = state.number
            if not self._write(as_event(state) if state is not None else b": still here\n\n"):
                return

    def _previews(self) -> None:
        self._head(HTTPStatus.OK, f"multipart/x-mixed-replace; boundary={BOUNDARY}", length=None)
        last = -1
        while not self.shown.closed:
            picture, number = self.shown.wait_preview(last, HEARTBEAT_S)
            if number == last:
                continue
            last = number
            if not picture:  # the visit is over: so is its picture
                return
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            if not self._write(head.encode() + picture + b"\r\n"):
                return

    def _path(self) -> str | None:
        """What is asked for below the token; None when it was answered that there is nothing."""
        if self.headers.get("Host") not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            self._send_json(HTTPStatus.MISDIRECTED_REQUEST, {"error": "other-host"})
            return None
        token, _, rest = self.path.split("?", 1)[0].lstrip("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "not-found"})
            return None
        return rest

    def _body(self) -> bytes | None:
        try:
            length = int(self.headers.get("Content-Length", "0"))
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            self._send_json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "too-large"})
            return None
        return self.rfile.read(length)

    def _send_json(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self._head(status, kind, length=len(content))
        self._write(content)

    def _head(self, status: HTTPStatus, kind: str, *, length: int | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is None:
            self.close_connection = True
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()

    def _write(self, content: bytes) -> bool:
        """False when nobody listens any more."""
        try:
            self.wfile.write(content)
            self.wfile.flush()
        except OSError:
            self.close_connection = True
            return False
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address holds the token."""
