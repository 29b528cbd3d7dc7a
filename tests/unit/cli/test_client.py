"""What a command that watches does while the service is away: over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import typer

from recon_service.cli import client as module
from recon_service.cli.client import EXIT_FAULT, ServiceClient
from recon_service.cli.verify import EXIT_CODES
from recon_service.domain.template import Decision
from tests.servers.processes import free_port

LINES = {
    "first": b'event: progress\nid: 1\ndata: {"progress": 0.5}\n\n',
    "last": b'event: succeeded\nid: 2\ndata: {"progress": 1.0}\n\n',
}


class Restarting(BaseHTTPRequestHandler):
    """Breaks the stream off, is not ready for a moment, and goes on."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Last-Event-ID", ""))
        number = len(self.asked)
        self.send_response(503 if number == 2 else 200)
        self.send_header("Connection", "close")
        self.end_headers()
        if number != 2:
            self.wfile.write(LINES["first" if number == 1 else "last"])

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def restarting(port: int, *, after_s: float = 0.0) -> Iterator[list[str]]:
    Handler = type("Handler", (Restarting,), {"asked": []})
    server: list[HTTPServer] = []

    def serve() -> None:
        server.append(HTTPServer(("127.0.0.1", port), Handler))
        server[0].serve_forever()

    timer = threading.Timer(after_s, serve)
    timer.start()
    try:
        yield Handler.asked  # type: ignore[attr-defined]
    finally:
        server[0].shutdown()
        server[0].server_close()
        timer.join()


def test_an_operation_is_followed_through_a_restart() -> None:
    port = free_port()
    with restarting(port, after_s=0.4) as asked:
        seen = list(ServiceClient(f"http://127.0.0.1:{port}", "k").follow("/v1/operations/op_1"))
    assert [one["progress"] for one in seen] == [0.5, 1.0]
    assert asked == ["", "1", "1"], "it goes on after what was seen"


def test_what_is_looked_at_again_and_again_is_looked_at_through_a_restart() -> None:
    port = free_port()
    client = ServiceClient(f"http://127.0.0.1:{port}", "k")
    with restarting(port, after_s=0.4) as asked:
        assert client.look("/v1/batches/b").status_code == 200
        assert client.look("/v1/batches/b").status_code == 200
    assert len(asked) == 3


def test_patience_ends_and_says_where_to_ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.3)
    with pytest.raises(typer.Exit) as end:
        list(ServiceClient(f"http://127.0.0.1:{free_port()}", "k").follow("/v1/operations/op_1"))
    assert end.value.exit_code == EXIT_FAULT
    assert "/v1/operations/op_1" in capsys.readouterr().err


def test_every_decision_has_an_exit_code_of_its_own_kind() -> None:
    """What is no fault of the service must not look like one: a program would ask again."""
    assert {decision.value for decision in Decision} == set(EXIT_CODES)
    assert EXIT_FAULT not in EXIT_CODES.values()
    assert EXIT_CODES["PRESENTATION_ATTACK"] == EXIT_CODES["NO_MATCH"]
