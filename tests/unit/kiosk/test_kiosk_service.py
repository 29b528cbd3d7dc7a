"""The kiosk's side of sessions and nonces, against an HTTP server that answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from recon_service.domain.kiosk_proof import capture_proof, capture_statement
from recon_service.kiosk.capture import Capture
from recon_service.kiosk.errors import (
    AnswerLost,
    OfflineRefused,
    ServiceBusy,
    ServiceRefused,
    ServiceUnreachable,
    SessionOver,
)
from recon_service.kiosk.offline import OfflinePolicy, WhenOffline, decide_offline
from recon_service.kiosk.service import Service, Times, Verdict

CAPTURE = Capture((b"depth-1", b"depth-2"), (b"image-1", b"image-2"), '{"width": 1}', 0.1)
MATCH = {
    "decision": "MATCH",
    "score": 4.2,
    "reasons": [{"code": "x", "hint": "y"}],
    "frames_used": 2,
    "milliseconds": {"fit": 12.5},
}


def problem(code: str, status: int, **headers: str) -> tuple[int, dict, dict]:
    body = {"type": f"/problems/{code}", "title": "t", "status": status, "detail": "d", "next_step": "n"}
    return status, body, headers


@dataclass
class Scripted:
    """Gives nonces by itself; verifications are answered from ``script``: (status, body, headers), or None
    for a connection that is cut after the request was read. The last answer is given again and again.
    """

    script: list[Any]
    nonces: list[Any] = field(default_factory=list)
    sessions: list[Any] = field(default_factory=list)
    seen: list[tuple[str, dict, bytes]] = field(default_factory=list)
    issued: int = 0
    url: str = ""

    def answer(self, path: str, headers: dict, body: bytes) -> Any:
        self.seen.append((path, headers, body))
        if path.startswith("/v1/kiosk-sessions"):
            if path.endswith("/nonces") and self.nonces:
                return self.nonces.pop(0)
            if self.sessions:
                return self.sessions.pop(0)
            self.issued += 1
            return (
                201,
                {
                    "session_id": "ks_" + "0" * 32,
                    "nonce": f"{self.issued:064x}",
                    "proof": "recon-kiosk-1",
                    "attempts_left": 8 - self.issued,
                    "expires_in_seconds": 120.0,
                },
                {},
            )
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def asked(self, end: str) -> list[tuple[str, dict, bytes]]:
        return [one for one in self.seen if one[0].endswith(end)]


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    servers = []

    def start(*script: Any, nonces: tuple = (), sessions: tuple = ()) -> Scripted:
        scripted = Scripted(list(script), list(nonces), list(sessions))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                answer = scripted.answer(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                if answer is None:
                    self.connection.close()
                    self.close_connection = True
                    return
                status, content, headers = answer
                sent = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(sent)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *args: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
        return scripted

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def service(scripted: Scripted, slept: list[float] | None = None, **times: float) -> Service:
    limits = Times(**{"connect": 1.0, "answer": 2.0, "visit": 30.0, **times})
    return Service(scripted.url, "recon_key", times=limits, sleep=(slept if slept is not None else []).append)


def test_a_verification_carries_the_proof_of_its_own_parts(serve: Callable[..., Scripted]) -> None:
    scripted = serve((200, MATCH, {}))
    with service(scripted) as client:
        verdict, session = client.verify("user-1", CAPTURE)
    assert verdict == Verdict("MATCH", 4.2, (("x", "y"),), 2, {"fit": 12.5}, attempts=1)
    ((_, headers, body),) = scripted.asked("/verifications")
    statement = capture_statement(
        session_id=session.session_id,
        subject_id="user-1",
        depth=CAPTURE.depth,
        images=CAPTURE.images,
        intrinsics=CAPTURE.intrinsics,
    )
    assert headers["kiosk-session"] == session.session_id
    assert headers["kiosk-proof"] == capture_proof(f"{1:064x}", statement)
    assert f"{1:064x}".encode() not in body, "the nonce is never sent back"
    assert headers["authorization"] == "Bearer recon_key"
    assert "0001" not in repr(session)


@pytest.mark.parametrize(
    "fault",
    [
        None,
        problem("overloaded", 503),
        problem("internal-fault", 500),
        (502, b"<html>", {}),
        problem("nonce-used", 409),
    ],
)
def test_every_further_attempt_is_made_for_a_new_nonce(serve: Callable[..., Scripted], fault: Any) -> None:
    scripted, slept = serve(fault, fault, (200, MATCH, {})), []
    with service(scripted, slept) as client:
        verdict, _ = client.verify("user-1", CAPTURE)
    assert (verdict.decision, verdict.attempts) == ("MATCH", 3)
    proofs = [headers["kiosk-proof"] for _, headers, _ in scripted.asked("/verifications")]
    assert len(set(proofs)) == 3
    assert slept[1] > 0.5 * slept[0] > 0


def test_the_service_says_when_to_come_back(serve: Callable[..., Scripted]) -> None:
    scripted, slept = serve(problem("overloaded", 503, Retry_After="7"), (200, MATCH, {})), []
    with service(scripted, slept) as client:
        client.verify("user-1", CAPTURE)
    assert 7 * 0.75 <= slept[0] <= 7 * 1.25
    with service(scripted := serve(problem("too-many-requests", 429, Retry_After="60"))) as client:
        with pytest.raises(ServiceBusy) as fault:
            client.verify("user-1", CAPTURE)
        assert (fault.value.status, len(scripted.asked("/verifications"))) == (429, 1)


def test_an_answer_that_was_decided_and_lost_is_told_from_one_that_was_not(
    serve: Callable[..., Scripted],
) -> None:
    over = problem("kiosk-session-invalid", 409)
    with service(serve(None, nonces=(over,))) as client, pytest.raises(AnswerLost):
        client.verify("user-1", CAPTURE)
    with service(serve(over)) as client, pytest.raises(SessionOver):
        client.verify("user-1", CAPTURE)
    with service(serve(problem("capture-replayed", 409))) as client, pytest.raises(SessionOver):
        client.verify("user-1", CAPTURE)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem("forbidden", 403), "forbidden"),
        (problem("kiosk-proof-invalid", 403), "kiosk-proof-invalid"),
        (problem("not-found", 404), "not-found"),
        (problem("locked-out", 429, Retry_After="600"), "locked-out"),
        (problem("depth-rejected", 422), "depth-rejected"),
        ((200, {"decision": "MATCH"}, {}), ""),
        ((200, b"hello", {}), ""),
        ((302, b"", {"Location": "http://elsewhere.example/"}), ""),
        ((404, b"<html>", {}), ""),
    ],
)
def test_what_will_not_be_answered_is_not_asked_again(
    serve: Callable[..., Scripted], answer: Any, code: str
) -> None:
    scripted = serve(answer)
    with service(scripted) as client, pytest.raises(ServiceRefused) as fault:
        client.verify("user-1", CAPTURE)
    assert (fault.value.problem, len(scripted.asked("/verifications"))) == (code, 1)
    assert fault.value.next_step


def test_no_nonce_beyond_those_of_the_session_nor_after_its_time(serve: Callable[..., Scripted]) -> None:
    scripted = serve(problem("overloaded", 503))
    with service(scripted) as client, pytest.raises(SessionOver):
        client.verify("user-1", CAPTURE)
    assert len(scripted.asked("/verifications")) == 8
    now = [0.0]
    client = Service(scripted.url, "k", clock=lambda: now[0])
    session = client.open_session("user-1")
    now[0] = 121.0
    with pytest.raises(SessionOver):
        client.next_nonce(session)
    client.close()


def test_a_key_that_may_not_verify_is_told_before_anybody_comes(serve: Callable[..., Scripted]) -> None:
    nobody = problem("invalid-value", 422)
    with service(serve(nobody, sessions=(nobody,))) as client:
        client.require_admitted()
    refused = serve(nobody, sessions=(problem("unauthenticated", 401),))
    with service(refused) as client, pytest.raises(ServiceRefused):
        client.require_admitted()


def test_without_a_service_it_says_so_in_time() -> None:
    with Service("http://127.0.0.1:9", "k", times=Times(connect=0.2, answer=0.2, visit=0.5)) as client:
        assert not client.reachable()
        with pytest.raises(ServiceUnreachable) as fault:
            client.verify("user-1", CAPTURE)
    assert fault.value.next_step


# ---- without the service


@dataclass
class Bundle:
    waiting: int = 0

    def verify(self, subject_id: str, frames: Any) -> Verdict:
        return Verdict("MATCH", 3.0, (), 2, {})

    def unreported(self) -> int:
        return self.waiting

    def report(self) -> int:
        return 0


def test_a_decision_is_never_put_off() -> None:
    because = ServiceUnreachable("no line")

    def decide(policy: OfflinePolicy, bundle: Bundle | None) -> Verdict:
        return decide_offline("user-1", (), policy=policy, bundle=bundle, because=because)

    for policy, bundle in (
        (OfflinePolicy(), None),
        (OfflinePolicy(), Bundle()),
        (OfflinePolicy(WhenOffline.BUNDLE), None),
        (OfflinePolicy(WhenOffline.BUNDLE, most_unreported=3), Bundle(3)),
    ):
        with pytest.raises(OfflineRefused) as fault:
            decide(policy, bundle)
        assert fault.value.next_step
    assert decide(OfflinePolicy(WhenOffline.BUNDLE, most_unreported=3), Bundle(2)).decision == "MATCH"


def test_the_proxy_of_the_machine_is_not_asked(
    serve: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with service(serve((200, MATCH, {}))) as client:
        assert client.verify("user-1", CAPTURE)[0].decision == "MATCH"
