"""Attacks by repetition, through the real application: hammering a subject, a key, and the service."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.keeping.audit import verify_audit
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import Scope
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.application.verifying.lockouts import locked_out
from recon_service.domain.errors import DepthRejected
from recon_service.domain.template import Decision, Template, VerificationResult
from tests.unit.api.conftest import authorization
from tests.unit.application.stores import ListQueue, ScriptedCompute

INTRINSICS = json.dumps({"width": 4, "height": 4, "fx": 4.0, "fy": 4.0, "cx": 1.5, "cy": 1.5})
IMPOSTOR, GENUINE, DARK, BROKEN = b"impostor", b"genuine", b"dark", b"broken"


@dataclass
class Kiosk(ScriptedCompute):
    """Decides by the bytes of the visit; counts comparisons."""

    compared: int = 0

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
        if visit.depth[0] == BROKEN:
            raise DepthRejected("no depth map")
        self.compared += 1
        decision = {GENUINE: Decision.MATCH, DARK: Decision.INCONCLUSIVE}.get(
            visit.depth[0], Decision.NO_MATCH
        )
        return VerificationOutcome(VerificationResult(decision, None, (("a-reason", "hint"),), "p"), "c", {})


class Bench:
    """A service with low limits, and what a kiosk does to it."""

    def __init__(self, service: Service, **settings: float) -> None:
        self.kiosk = Kiosk()
        self.moment = utc_now()
        stores = dataclasses.replace(service.stores, clock=lambda: self.moment)
        wanted = service.settings.model_copy(
            update={"lockout_subject_failures": 3, "lockout_key_failures": 8, **settings}
        )
        self.service = dataclasses.replace(service, settings=wanted, stores=stores, compute=self.kiosk)
        self.client = TestClient(create_app(self.service), raise_server_exceptions=False)
        self.key = authorization(stores, Scope.VERIFY)
        self.key_id = self.key["Authorization"].split("_")[1]
        self.ops = authorization(stores, Scope.OPS)

    def enroll(self, subject_id: str) -> None:
        queue, stores = ListQueue(), self.service.stores
        made = request_enrollment(EnrollmentRequest(subject_id, (b"x",), "c"), on=stores, queue=queue)
        run_enrollment(
            made.operation.operation_id, on=stores, compute=self.kiosk, queue=queue, policy=JobPolicy()
        )

    def visit(self, subject_id: str, who: bytes, client: TestClient | None = None) -> tuple[int, str]:
        answer = (client or self.client).post(
            f"/v1/subjects/{subject_id}/verifications",
            headers=self.key,
            files=[("depth", ("d", who)), ("intrinsics", (None, INTRINSICS))],
        )
        body = answer.json()
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 900
        return answer.status_code, body.get("decision") or body["type"].removeprefix("/problems/")

    def passes(self, by: timedelta) -> None:
        self.moment += by

    def replica(self) -> TestClient:
        """Another process on the same stores."""
        return TestClient(create_app(dataclasses.replace(self.service)), raise_server_exceptions=False)


@pytest.fixture
def bench(fresh_service: Service) -> Bench:
    made = Bench(fresh_service)
    made.enroll("ada")
    made.enroll("bob")
    return made


LOCKED = (429, "locked-out")


def test_a_hammered_subject_is_locked_on_every_replica_and_let_in_after_the_lift(bench: Bench) -> None:
    assert [bench.visit("ada", IMPOSTOR)[1] for _ in range(3)] == ["NO_MATCH"] * 3
    assert bench.visit("ada", IMPOSTOR) == LOCKED
    assert bench.visit("ada", GENUINE) == LOCKED, "nobody learns who would have matched"
    assert bench.visit("ada", GENUINE, bench.replica()) == LOCKED
    assert bench.kiosk.compared == 3
    assert bench.visit("bob", GENUINE) == (200, "MATCH"), "others are not touched"

    assert bench.client.delete("/v1/subjects/ada/lock-out", headers=bench.key).status_code == 403
    assert bench.client.delete("/v1/subjects/ada/lock-out", headers=bench.ops).status_code == 204
    assert bench.client.delete("/v1/subjects/ada/lock-out", headers=bench.ops).status_code == 404
    assert bench.visit("ada", GENUINE) == (200, "MATCH")
    with bench.service.stores.database.snapshot() as tx:
        actions = [e.action for e in tx.audit.entries()]
        (lifted,) = tx.audit.entries(action="lock-out.lifted")
    assert actions.count("lock-out") == 1
    assert lifted.actor == bench.ops["Authorization"].split("_")[1]
    assert verify_audit(on=bench.service.stores).broken is None


def test_a_lock_ends_by_itself_and_counts_anew(bench: Bench) -> None:
    for _ in range(3):
        bench.visit("ada", IMPOSTOR)
    bench.passes(timedelta(seconds=899))
    assert bench.visit("ada", GENUINE) == LOCKED
    bench.passes(timedelta(seconds=2))
    assert bench.visit("ada", IMPOSTOR) == (200, "NO_MATCH")
    assert bench.visit("ada", GENUINE) == (200, "MATCH")
    bench.passes(timedelta(days=-2))  # a clock that is put back locks nobody out for days
    assert bench.visit("ada", GENUINE) == (200, "MATCH")


def test_failures_long_ago_and_failures_before_a_match_do_not_add_up(bench: Bench) -> None:
    for _ in range(4):
        bench.visit("ada", IMPOSTOR)
        bench.visit("ada", DARK)
        assert bench.visit("ada", GENUINE) == (200, "MATCH")
        bench.passes(timedelta(seconds=901))
    bench.visit("ada", IMPOSTOR)
    bench.visit("ada", IMPOSTOR)
    bench.passes(timedelta(seconds=901))
    assert [bench.visit("ada", IMPOSTOR)[1] for _ in range(2)] == ["NO_MATCH"] * 2


def test_inconclusive_captures_count_and_unreadable_ones_do_not(bench: Bench) -> None:
    for _ in range(5):
        assert bench.visit("ada", BROKEN) == (422, "depth-rejected")
    assert [bench.visit("ada", DARK)[1] for _ in range(4)] == ["INCONCLUSIVE"] * 3 + ["locked-out"]


def test_requests_at_one_moment_get_no_more_comparisons(bench: Bench) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: bench.visit("ada", IMPOSTOR), range(16)))
    assert bench.kiosk.compared == 3
    assert answers.count(LOCKED) == 13


def test_a_kiosk_key_that_tries_many_subjects_is_locked(bench: Bench) -> None:
    for number in range(3):
        bench.enroll(f"s{number}")
    tried = [bench.visit(f"s{n % 3}", IMPOSTOR)[1] for n in range(8)]
    assert tried == ["NO_MATCH"] * 8
    assert bench.visit("bob", GENUINE) == LOCKED
    (found,) = [c for c in locked_out(on=bench.service.stores) if c.kind.value == "api-key"]
    assert found.name == bench.key_id
    path = f"/v1/api-keys/{bench.key_id}/lock-out"
    assert bench.client.delete(path, headers=bench.ops).status_code == 204
    assert bench.visit("bob", GENUINE) == (200, "MATCH")


def test_limits_of_zero_never_lock(fresh_service: Service) -> None:
    bench = Bench(fresh_service, lockout_subject_failures=0, lockout_key_failures=0)
    bench.enroll("ada")
    assert {bench.visit("ada", IMPOSTOR) for _ in range(12)} == {(200, "NO_MATCH")}


def test_requests_of_a_key_are_limited_over_all_replicas(fresh_service: Service) -> None:
    bench = Bench(fresh_service, requests_per_minute=20)
    other = bench.replica()
    answers = [
        (client.get("/v1/operations?state=dead", headers=bench.ops).status_code)
        for _ in range(15)
        for client in (bench.client, other)
    ]
    assert (answers.count(200), answers.count(429)) == (20, 10)
    assert bench.visit("nobody", GENUINE)[0] == 404, "another key has its own limit"
    refused = bench.client.get("/v1/operations?state=dead", headers=bench.ops)
    assert (refused.json()["type"], 1 <= int(refused.headers["retry-after"]) <= 60) == (
        "/problems/too-many-requests",
        True,
    )
    bench.passes(timedelta(seconds=61))
    assert bench.client.get("/v1/operations?state=dead", headers=bench.ops).status_code == 200
    bench.passes(timedelta(days=-1))
    assert bench.client.get("/v1/operations?state=dead", headers=bench.ops).status_code == 200
