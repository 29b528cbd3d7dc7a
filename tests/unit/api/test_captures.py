from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from recon_service.api.app import api_routes, create_app, needs_capture
from recon_service.api.service import Service
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.errors import StorageUnavailable
from recon_service.application.keeping.keys import revoke_api_key
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import Scope
from recon_service.application.records.operations import EnrollmentOutcome, Problem, SelfieReport
from recon_service.application.templates.subjects import delete_subject, list_subjects
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict
from tests.unit.api.conftest import authorization
from tests.unit.application.stores import GOOD, ScriptedCompute

JPEG = {"Content-Type": "image/jpeg"}
POOR = SelfieReport(
    False, QualityReport((QualityMeasure("exposure", 3.0, "luma", 0.0, Verdict.REJECTED, "More light."),))
)
WISH = {"subject_id": "capture-1", "consent_id": "consent-1"}


class Judging(ScriptedCompute):
    """A gate that refuses what begins with `poor`."""

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]:
        return tuple(POOR if s.startswith(b"poor") else GOOD for s in selfies)

    def mesh(self, template: object) -> bytes:
        return b"glTF"


@pytest.fixture
def judged(fresh_service: Service) -> Service:
    settings = fresh_service.settings.model_copy(
        update={
            "capture_return_urls": "https://app.example/done,https://other.example/",
            "capture_public_url": "https://enroll.example/",
        }
    )
    return dataclasses.replace(fresh_service, compute=Judging(), settings=settings)


@pytest.fixture
def page(judged: Service) -> TestClient:
    return TestClient(create_app(judged), raise_server_exceptions=False)


def made(page: TestClient, service: Service, **changes: object) -> dict[str, str]:
    answer = page.post(
        "/v1/capture-sessions",
        json={**WISH, **changes},
        headers=authorization(service.stores, Scope.ENROLL),
    )
    assert answer.status_code == 201, answer.text
    path, _, secret = answer.json()["url"].partition("#")
    assert path == f"https://enroll.example/enroll/{answer.json()['session_id']}"
    return {"Authorization": f"Bearer {answer.json()['session_id']}.{secret}"}


def send(page: TestClient, token: dict[str, str], *contents: bytes) -> None:
    for number, content in enumerate(contents):
        answer = page.put(f"/v1/capture/frames/{number}", content=content, headers={**token, **JPEG})
        assert answer.status_code == 200, answer.text


def run(service: Service, operation_id: str) -> None:
    run_enrollment(
        operation_id,
        on=service.stores,
        compute=service.compute,
        queue=service.queue,
        policy=JobPolicy(backoff=timedelta(0)),
    )


def newest(service: Service, token: dict[str, str]) -> str:
    session_id = token["Authorization"].removeprefix("Bearer ").partition(".")[0]
    with service.stores.database.transaction() as tx:
        session = tx.captures.get(session_id)
    assert session is not None
    assert session.operation_id is not None
    return session.operation_id


def test_a_start_that_breaks_off_leaves_a_session_that_can_begin_again(
    page: TestClient, judged: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enrollment and session are written together: nobody has to wait for what a dead process was doing."""
    token = made(page, judged)
    send(page, token, b"one", b"two", b"three")

    def away(*_: object) -> None:
        raise StorageUnavailable("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr("recon_service.storage.captures.SqlCaptureSessions.update", away)
        patch.setattr("recon_service.application.enrolling.enrollments._withdraw", lambda *_: None)
        assert page.post("/v1/capture/enrollment", headers=token).status_code == 503
    with judged.stores.database.snapshot() as tx:
        assert tx.operations.queued() == []
    assert page.get("/v1/capture", headers=token).json()["frames"] == [0, 1, 2]
    page.put("/v1/capture/frames/2", content=b"a better one", headers={**token, **JPEG})
    assert page.post("/v1/capture/enrollment", headers=token).status_code == 202
    run(judged, newest(judged, token))
    assert judged.compute.seen == [(b"one", b"two", b"a better one")]  # type: ignore[attr-defined]


def test_a_start_that_is_sent_twice_makes_one_enrollment(
    page: TestClient, judged: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one comes while the first stores its pictures, and is through before it."""
    token = made(page, judged)
    send(page, token, b"one", b"two", b"three")
    put, answers = judged.stores.objects.put, list[Response]()

    def is_overtaken(key: str, content: bytes) -> None:
        if not answers:
            answers.append(Response(0))
            answers[0] = page.post("/v1/capture/enrollment", headers=token)
        put(key, content)

    with monkeypatch.context() as patch:
        patch.setattr(judged.stores.objects, "put", is_overtaken)
        slower = page.post("/v1/capture/enrollment", headers=token)
    assert (answers[0].status_code, slower.status_code) == (202, 202)
    assert slower.json() == answers[0].json()
    with judged.stores.database.snapshot() as tx:
        assert tx.operations.queued() == [newest(judged, token)]
    assert len(list(judged.stores.objects.list_keys("selfies/"))) == 1


def test_a_link_enrolls_its_subject_once_and_shows_nothing_but_its_own_result(
    page: TestClient, judged: Service
) -> None:
    ends = utc_now() + timedelta(days=30)
    token = made(page, judged, consent_expires_at=ends.isoformat(), keep_evidence=True, keep_probes=True)
    assert page.get("/v1/capture/mesh.glb", headers=token).status_code == 404
    send(page, token, b"one", b"two")
    assert page.post("/v1/capture/enrollment", headers=token).status_code == 409, "two frames are too few"
    refused = page.put("/v1/capture/frames/2", content=b"poor", headers={**token, **JPEG})
    assert (refused.status_code, refused.json()["accepted"]) == (200, False)
    assert page.get("/v1/capture", headers=token).json()["frames"] == [0, 1]
    send(page, token, b"one", b"two", b"three")
    begun = page.post("/v1/capture/enrollment", headers=token)
    assert (begun.status_code, begun.json()["state"], begun.json()["frames"]) == (202, "working", [])
    again = page.post("/v1/capture/enrollment", headers=token)
    assert again.json() == begun.json()
    late = page.put("/v1/capture/frames/3", content=b"four", headers={**token, **JPEG})
    assert late.status_code == 409
    run(judged, newest(judged, token))
    assert judged.compute.seen == [(b"one", b"two", b"three")]  # type: ignore[attr-defined]
    assert page.get("/v1/capture", headers=token).json()["state"] == "done"
    assert page.get("/v1/capture/mesh.glb", headers=token).content == b"glTF"
    assert page.put("/v1/capture/frames/0", content=b"x", headers={**token, **JPEG}).status_code == 409
    enrolled = newest(judged, token)
    with judged.stores.database.transaction() as tx:
        assert [t.subject_id for t in tx.templates.of_subject("capture-1")] == ["capture-1"]
        (consent,) = tx.consents.of_subject("capture-1")
        operation = tx.operations.get(enrolled)
        actions = [(e.action, e.actor.partition(":")[0]) for e in tx.audit.entries()]
    assert ("mesh.read", "capture") in actions
    assert (consent.consent_id, consent.expires_at, consent.keep_probes) == ("consent-1", ends, True)
    assert operation is not None
    assert operation.keep_evidence


def test_a_consent_that_ends_before_the_link_makes_none(page: TestClient, judged: Service) -> None:
    headers = authorization(judged.stores, Scope.ENROLL)
    for ends, status in (("2020-01-01T00:00:00Z", 422), ("2020-01-01T00:00:00", 422)):
        wish = {**WISH, "consent_expires_at": ends}
        assert page.post("/v1/capture-sessions", json=wish, headers=headers).status_code == status


def test_a_link_ends_with_the_key_that_made_it(page: TestClient, judged: Service) -> None:
    """Who has stolen a key is out when it is revoked, and not a day later."""
    headers = authorization(judged.stores, Scope.ENROLL)
    answer = page.post("/v1/capture-sessions", json={**WISH, "minutes": 1440}, headers=headers).json()
    token = {"Authorization": f"Bearer {answer['session_id']}.{answer['url'].partition('#')[2]}"}
    send(page, token, b"one", b"two", b"three")
    revoke_api_key(headers["Authorization"].split("_")[1], on=judged.stores)
    assert page.post("/v1/capture/enrollment", headers=token).status_code == 401
    assert page.get("/v1/capture", headers=token).status_code == 401
    assert list_subjects(on=judged.stores) == []


def test_after_a_rejection_the_person_may_try_again_but_not_for_ever(
    page: TestClient, judged: Service
) -> None:
    judged.compute.script = lambda _: EnrollmentOutcome(  # type: ignore[attr-defined]
        (POOR,), None, Problem("face-implausible", "The fit is not to be trusted.")
    )
    token = made(page, judged)
    for attempt in range(5):
        send(page, token, b"one", b"two", b"three")
        assert page.post("/v1/capture/enrollment", headers=token).status_code == 202
        run(judged, newest(judged, token))
        found = page.get("/v1/capture", headers=token).json()
        assert found["operation"]["state"] == "rejected"
        assert found["attempts_left"] == 4 - attempt
    assert found["state"] == "spent"
    assert page.put("/v1/capture/frames/0", content=b"x", headers={**token, **JPEG}).status_code == 409


def test_a_wrong_late_or_foreign_secret_opens_nothing(page: TestClient, judged: Service) -> None:
    token = made(page, judged)
    session_id = token["Authorization"].removeprefix("Bearer ").partition(".")[0]
    api_key = authorization(judged.stores, *Scope)
    calls = [(m, r.path.format(number=1)) for r in api_routes() if needs_capture(r) for m in r.methods or ()]
    assert len(calls) == 4
    for method, path in calls:
        for header in ({}, {"Authorization": f"Bearer {session_id}.{'A' * 43}"}, api_key):
            assert page.request(method, path, headers=header).status_code == 401, (method, path)
    # And the token opens nothing else.
    for path in ("/v1/subjects/capture-1/templates", "/v1/operations/op_1"):
        assert page.get(path, headers=token).status_code == 401
    object.__setattr__(judged.stores, "clock", lambda: utc_now() + timedelta(minutes=31))
    assert page.get("/v1/capture", headers=token).status_code == 401
    with judged.stores.database.transaction() as tx:
        assert tx.captures.expire(now=judged.stores.clock(), limit=500) == 1
        assert tx.captures.get(session_id) is None


def test_waiting_frames_are_unreadable_without_the_secret_and_go_with_the_subject(
    page: TestClient, judged: Service
) -> None:
    enrolled = made(page, judged)
    send(page, enrolled, b"one", b"two", b"three")
    page.post("/v1/capture/enrollment", headers=enrolled)
    waiting = made(page, judged)
    send(page, waiting, b"\xff\xd8 a picture of a face")
    session_id = waiting["Authorization"].removeprefix("Bearer ").partition(".")[0]
    with judged.stores.database.transaction() as tx:
        (frame,) = tx.captures.frames(session_id)
    assert b"picture" not in frame.sealed
    delete_subject("capture-1", on=judged.stores)
    with judged.stores.database.transaction() as tx:
        assert tx.captures.get(session_id) is None
        assert tx.captures.frames(session_id) == []


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://app.example/done", 201),
        ("https://app.example/done?x=1", 201),
        ("https://other.example/any", 201),
        ("https://app.example/done.evil.example", 422),
        ("https://app.example/", 422),
        ("javascript:alert(1)", 422),
        ("https://other.example/a\\b c", 422),
    ],
)
def test_only_allowed_addresses_are_gone_back_to(
    page: TestClient, judged: Service, url: str, status: int
) -> None:
    answer = page.post(
        "/v1/capture-sessions",
        json={**WISH, "return_url": url},
        headers=authorization(judged.stores, Scope.ENROLL),
    )
    assert answer.status_code == status


def test_a_session_that_asks_too_often_is_slowed(page: TestClient, judged: Service) -> None:
    token = made(page, judged)
    codes = {page.get("/v1/capture", headers=token).status_code for _ in range(301)}
    assert codes == {200, 429}


def test_guidance_by_the_server(page: TestClient, judged: Service) -> None:
    token = made(page, judged)["Authorization"].removeprefix("Bearer ")
    with page.websocket_connect("/v1/capture/guidance") as socket:
        socket.send_text(token)
        assert socket.receive_json() == {"ready": True}
        socket.send_bytes(b"poor")
        assert socket.receive_json()["measures"][0]["verdict"] == "rejected"
        socket.send_bytes(b"good")
        assert socket.receive_json()["accepted"]
        socket.send_bytes(b"x" * 80_001)
        assert socket.receive()["code"] == 4413
    with page.websocket_connect("/v1/capture/guidance") as socket:
        socket.send_text("cap_0.wrong")
        assert socket.receive()["code"] == 4401
    with page.websocket_connect("/v1/capture/guidance") as socket:
        socket.send_bytes(b"not a token")
        assert socket.receive()["code"] == 4400


def test_one_session_cannot_take_all_guidance(page: TestClient, judged: Service) -> None:
    token = made(page, judged)["Authorization"].removeprefix("Bearer ")
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(page.websocket_connect("/v1/capture/guidance")) for _ in range(3)]
        answers = []
        for socket in sockets:
            socket.send_text(token)
            answers.append(socket.receive())
        assert [answer.get("code") for answer in answers] == [None, None, 4429]
    with page.websocket_connect("/v1/capture/guidance") as socket:
        socket.send_text(token)
        assert socket.receive_json() == {"ready": True}
