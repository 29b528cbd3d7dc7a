"""Kiosk sessions through the real application, on both stacks: what a recorded request is still good for."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.housekeeping import Retention, sweep
from recon_service.application.keeping.audit import verify_audit
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import Scope
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.domain.errors import DepthRejected
from recon_service.domain.kiosk_proof import capture_proof, capture_statement
from recon_service.domain.template import Decision, Template, VerificationResult
from recon_service.settings import Settings
from tests.unit.api.conftest import authorization
from tests.unit.application.stores import ListQueue, ScriptedCompute

INTRINSICS = json.dumps({"width": 4, "height": 4, "fx": 4.0, "fy": 4.0, "cx": 1.5, "cy": 1.5})
_visits = itertools.count()


def frames(who: str) -> tuple[bytes, ...]:
    """What a sensor gives: never the same bytes twice."""
    return (f"{who} {next(_visits)}".encode(), f"{who} {next(_visits)}".encode())


@dataclass
class Decides(ScriptedCompute):
    """By the first word of the first frame; counts comparisons."""

    compared: int = 0

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
        who = visit.depth[0].split()[0].decode()
        if who == "broken":
            raise DepthRejected("no depth map")
        self.compared += 1
        decision = {"genuine": Decision.MATCH, "dark": Decision.INCONCLUSIVE}.get(who, Decision.NO_MATCH)
        return VerificationOutcome(VerificationResult(decision, None, (), "p"), "c", {})


@dataclass
class Kiosk:
    """A service that requires sessions, and a kiosk with a key of its own."""

    service: Service
    compute: Decides = field(default_factory=Decides)

    def __post_init__(self) -> None:
        self.moment = utc_now()
        stores = dataclasses.replace(self.service.stores, clock=lambda: self.moment)
        wanted = self.service.settings.model_copy(update={"kiosk_sessions": "required"})
        self.service = dataclasses.replace(self.service, settings=wanted, stores=stores, compute=self.compute)
        self.client = TestClient(create_app(self.service), raise_server_exceptions=False)
        self.key = authorization(stores, Scope.VERIFY)
        for subject in ("ada", "bob"):
            queue = ListQueue()
            made = request_enrollment(EnrollmentRequest(subject, (b"x",), "c"), on=stores, queue=queue)
            run_enrollment(
                made.operation.operation_id, on=stores, compute=self.compute, queue=queue, policy=JobPolicy()
            )

    def open(self, subject: str | None = "ada", **headers: str) -> dict[str, Any]:
        answer = self.client.post(
            "/v1/kiosk-sessions", json={"subject_id": subject}, headers=self.key | headers
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def more(self, session: dict[str, Any], **headers: str) -> httpx.Response:
        path = f"/v1/kiosk-sessions/{session['session_id']}/nonces"
        return self.client.post(path, headers=self.key | headers)

    def request(
        self,
        session: dict[str, Any],
        shown: tuple[bytes, ...],
        subject: str = "ada",
        confirmed: str | None = None,
    ) -> dict[str, Any]:
        """A verification, as somebody could record it on its way."""
        statement = capture_statement(
            session_id=session["session_id"],
            subject_id=subject,
            depth=shown,
            images=(),
            intrinsics=INTRINSICS,
            confirmed=confirmed,
        )
        said = [("confirmed", (None, confirmed))] if confirmed is not None else []
        return {
            "url": f"/v1/subjects/{subject}/verifications",
            "headers": self.key
            | {
                "Kiosk-Session": session["session_id"],
                "Kiosk-Proof": capture_proof(session["nonce"], statement),
            },
            "files": [*(("depth", ("d", f)) for f in shown), ("intrinsics", (None, INTRINSICS)), *said],
        }

    def send(self, request: dict[str, Any]) -> tuple[int, str]:
        answer = self.client.post(**request)
        body = answer.json()
        return answer.status_code, body.get("decision") or body["type"].removeprefix("/problems/")

    def visit(self, who: str, subject: str = "ada") -> tuple[int, str]:
        return self.send(self.request(self.open(subject), frames(who), subject))

    def audited(self, action: str) -> list[Any]:
        with self.service.stores.database.snapshot() as tx:
            return list(tx.audit.entries(action=action))


@pytest.fixture
def kiosk(fresh_service: Service) -> Kiosk:
    return Kiosk(fresh_service)


USED, OVER = (409, "nonce-used"), (409, "kiosk-session-invalid")


def test_a_visit_with_a_session_is_decided_and_without_one_refused(kiosk: Kiosk) -> None:
    assert kiosk.visit("genuine") == (200, "MATCH")
    assert kiosk.visit("stranger") == (200, "NO_MATCH")
    plain = kiosk.request(kiosk.open(), frames("genuine"))
    plain["headers"] = kiosk.key
    assert kiosk.send(plain) == (428, "kiosk-session-required")
    assert kiosk.compute.compared == 2
    sessions = {e.object_id for e in kiosk.audited("kiosk-session.opened")}
    assert {e.object_id for e in kiosk.audited("verification")} < sessions


def test_a_recorded_request_is_worth_nothing(kiosk: Kiosk) -> None:
    recorded = kiosk.request(kiosk.open(), frames("genuine"))
    assert kiosk.send(recorded) == (200, "MATCH")
    assert kiosk.send(recorded) == OVER
    undecided = kiosk.request(kiosk.open(), frames("dark"))
    assert [kiosk.send(undecided) for _ in range(2)] == [(200, "INCONCLUSIVE"), USED]
    kiosk.moment += timedelta(days=300)
    assert kiosk.send(undecided) == OVER
    assert kiosk.compute.compared == 2
    refused = kiosk.audited("verification.refused")
    assert [e.outcome for e in refused] == ["kiosk-session-invalid", "nonce-used", "kiosk-session-invalid"]
    assert verify_audit(on=kiosk.service.stores).broken is None


def test_two_requests_with_one_nonce_at_one_moment_are_compared_once(kiosk: Kiosk) -> None:
    recorded = kiosk.request(kiosk.open(), frames("dark"))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: kiosk.send(recorded), range(6)))
    assert sorted(answers) == [(200, "INCONCLUSIVE"), *[USED] * 5]
    assert kiosk.compute.compared == 1


def test_frames_of_another_visit_are_refused_and_count_as_a_failure(kiosk: Kiosk) -> None:
    shown = frames("genuine")
    assert kiosk.send(kiosk.request(kiosk.open(), shown)) == (200, "MATCH")
    replayed = (409, "capture-replayed")
    assert kiosk.send(kiosk.request(kiosk.open(), shown)) == replayed
    assert kiosk.send(kiosk.request(kiosk.open(), (*frames("genuine"), shown[1]))) == replayed, (
        "one is enough"
    )
    assert kiosk.send(kiosk.request(kiosk.open("bob"), shown, "bob")) == replayed
    assert kiosk.compute.compared == 1
    for _ in range(8):
        kiosk.send(kiosk.request(kiosk.open(), shown))
    assert kiosk.visit("genuine") == (429, "locked-out")


def test_a_visit_may_send_its_frames_again_until_it_is_decided(kiosk: Kiosk) -> None:
    session, shown = kiosk.open(), frames("dark")
    assert kiosk.send(kiosk.request(session, shown)) == (200, "INCONCLUSIVE")
    session = kiosk.more(session).json()
    assert session["attempts_left"] == 6
    assert kiosk.send(kiosk.request(session, (*frames("genuine"), *shown))) == (200, "MATCH")
    assert kiosk.more(session).status_code == 409


class Watching:
    """Stores that tell whether something as large as a frame is digested while a transaction is open."""

    def __init__(self, service: Service) -> None:
        self.stores, self.open, self.large = service.stores, 0, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stores.vault if name in dir(self.stores.vault) else self.stores.database, name)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with self.stores.database.transaction() as tx:
            self.open += 1
            try:
                yield tx
            finally:
                self.open -= 1

    def digest(self, purpose: str, *parts: bytes) -> str:
        if max(map(len, parts), default=0) > 1000:
            self.large.append((purpose, self.open))
        return self.stores.vault.digest(purpose, *parts)


def test_nobody_waits_for_the_digests_of_what_was_sent(fresh_service: Service) -> None:
    """Ten frames of 40 MB take a while, and a transaction of SQLite holds up all others."""
    watching = Watching(fresh_service)
    stores = dataclasses.replace(fresh_service.stores, database=watching, vault=watching)
    kiosk = Kiosk(dataclasses.replace(fresh_service, stores=stores))
    shown = tuple(frame + bytes(1500) for frame in frames("genuine"))
    assert kiosk.send(kiosk.request(kiosk.open(), shown)) == (200, "MATCH")
    wish = EnrollmentRequest("cleo", (bytes(2000),), "c", idempotency_key="k")
    request_enrollment(wish, on=kiosk.service.stores, queue=ListQueue())
    assert watching.large == [("capture", 0), ("capture", 0), ("idempotency", 0)]


def test_what_could_not_be_read_may_be_sent_in_another_session(kiosk: Kiosk) -> None:
    shown = frames("broken")
    for _ in range(3):
        assert kiosk.send(kiosk.request(kiosk.open(), shown)) == (422, "depth-rejected")


def test_a_new_nonce_voids_the_one_before_and_they_end(kiosk: Kiosk) -> None:
    first = kiosk.open()
    second = kiosk.more(first).json()
    assert first["nonce"] != second["nonce"]
    assert kiosk.send(kiosk.request(first, frames("genuine"))) == (403, "kiosk-proof-invalid")
    assert kiosk.send(kiosk.request(second, frames("dark"))) == (200, "INCONCLUSIVE")
    answers = [kiosk.more(first).status_code for _ in range(7)]
    assert answers == [201] * 6 + [409]


@pytest.mark.parametrize("change", ["frame", "order", "intrinsics", "image", "session", "proof"])
def test_a_proof_belongs_to_one_request(kiosk: Kiosk, change: str) -> None:
    shown = frames("genuine")
    request = kiosk.request(kiosk.open(), shown)
    first, second, intrinsics = request["files"]
    if change == "frame":
        request["files"] = [("depth", ("d", b"genuine other")), second, intrinsics]
    elif change == "order":
        request["files"] = [second, first, intrinsics]
    elif change == "intrinsics":
        request["files"] = [first, second, ("intrinsics", (None, INTRINSICS + " "))]
    elif change == "image":
        request["files"] += [("image", ("i", b"1")), ("image", ("i", b"2"))]
    elif change == "session":
        request["headers"]["Kiosk-Session"] = kiosk.open()["session_id"]
    else:
        request["headers"]["Kiosk-Proof"] = "0" * 64
    assert kiosk.send(request) == (403, "kiosk-proof-invalid")
    assert kiosk.send(kiosk.request(kiosk.open(), shown)) == (200, "MATCH"), "and nothing was used up"


def test_nobody_on_the_way_says_that_card_and_pin_were_there(kiosk: Kiosk) -> None:
    """It decides what may change the template."""
    kiosk.key = authorization(kiosk.service.stores, Scope.VERIFY, Scope.CONFIRM)
    said, unsaid = ("confirmed", (None, "card-and-pin")), kiosk.request(kiosk.open(), frames("genuine"))
    unsaid["files"].append(said)
    assert kiosk.send(unsaid) == (403, "kiosk-proof-invalid")
    taken_out = kiosk.request(kiosk.open(), frames("genuine"), confirmed="card-and-pin")
    taken_out["files"].remove(said)
    assert kiosk.send(taken_out) == (403, "kiosk-proof-invalid")
    taken_out["files"].append(said)
    assert kiosk.send(taken_out) == (200, "MATCH")


def test_a_session_is_its_keys_its_subjects_and_its_clients(kiosk: Kiosk) -> None:
    assert kiosk.send(kiosk.request(kiosk.open("bob"), frames("genuine"))) == OVER
    assert kiosk.send(kiosk.request(kiosk.open(None), frames("genuine"))) == (200, "MATCH")
    session = kiosk.open()
    theirs, kiosk.key = kiosk.key, authorization(kiosk.service.stores, Scope.VERIFY)
    assert kiosk.send(kiosk.request(session, frames("genuine"))) == OVER
    assert kiosk.more(session).status_code == 409
    kiosk.key = theirs
    assert kiosk.send(kiosk.request(session, frames("genuine"))) == (200, "MATCH")


def test_a_session_is_bound_to_the_certificate_that_the_proxy_names(kiosk: Kiosk) -> None:
    settings = kiosk.service.settings.model_copy(update={"client_certificate_header": "X-Client-Fingerprint"})
    kiosk.service = dataclasses.replace(kiosk.service, settings=settings)
    kiosk.client = TestClient(create_app(kiosk.service), raise_server_exceptions=False)
    mine, other = {"X-Client-Fingerprint": "AA:01"}, {"X-Client-Fingerprint": "BB:02"}
    assert kiosk.client.post("/v1/kiosk-sessions", json={}, headers=kiosk.key).status_code == 422
    session = kiosk.open(**mine)
    request = kiosk.request(session, frames("genuine"))
    request["headers"] = request["headers"] | other
    assert kiosk.send(request) == OVER
    assert kiosk.more(session, **other).status_code == 409
    request["headers"] = request["headers"] | {"X-Client-Fingerprint": "aa:01"}
    assert kiosk.send(request) == (200, "MATCH")


def test_a_session_ends_with_its_time_also_when_the_clock_is_put_back(kiosk: Kiosk) -> None:
    request = kiosk.request(kiosk.open(), frames("genuine"))
    for step in (timedelta(seconds=121), timedelta(seconds=-300)):
        kiosk.moment += step
        assert kiosk.send(request) == OVER


def test_the_sweeper_forgets_sessions_and_captures_in_time(kiosk: Kiosk) -> None:
    shown = frames("genuine")
    assert kiosk.send(kiosk.request(kiosk.open(), shown)) == (200, "MATCH")

    def swept() -> tuple[int, str]:
        sweep(ListQueue(), on=kiosk.service.stores, policy=JobPolicy(), retention=Retention())
        return kiosk.send(kiosk.request(kiosk.open(), shown))

    kiosk.moment += timedelta(hours=23)
    assert swept() == (409, "capture-replayed")
    kiosk.moment += timedelta(hours=2)
    assert swept() == (200, "MATCH")


def test_an_answer_tells_a_nonce_once_and_the_database_never(kiosk: Kiosk) -> None:
    nonces = {kiosk.open()["nonce"] for _ in range(20)}
    assert len(nonces) == 20
    with kiosk.service.stores.database.transaction() as tx:
        session = tx.kiosk_sessions.get(kiosk.audited("kiosk-session.opened")[0].object_id)
    assert session is not None
    assert not any(nonce in repr(session) for nonce in nonces)
    assert not re.search(r"\bada\b", repr(session))


@pytest.mark.parametrize("headers", [{"Kiosk-Session": "ks_1"}, {"Kiosk-Proof": "0" * 64}])
def test_half_a_session_is_told(kiosk: Kiosk, headers: dict[str, str]) -> None:
    request = kiosk.request(kiosk.open(), frames("genuine"))
    request["headers"] = kiosk.key | headers
    assert kiosk.send(request) == (422, "invalid-value")


def test_sessions_are_required_where_the_service_is_in_production() -> None:
    assert not Settings().kiosk_sessions_required
    assert Settings(broker_url="rediss://:x@broker:6379/0").kiosk_sessions_required
    assert not Settings(broker_url="redis://localhost", kiosk_sessions="optional").kiosk_sessions_required
    assert Settings(kiosk_sessions="required").kiosk_sessions_required
