from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.errors import ComputeFault
from recon_service.application.keeping.keys import create_api_key, revoke_api_key
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import Scope
from recon_service.application.records.batches import BatchState, BatchTarget, Selection
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.application.reenrolling.batches import (
    cancel_batch,
    look_at_batch,
    pause_batch,
    submit_batch,
)
from recon_service.bootstrap import open_stores
from recon_service.console.pages import ROUTES
from recon_service.console.rendering import POLICY as CONTENT_POLICY
from recon_service.console.rendering import count, span, unsigned_zero
from recon_service.console.sessions import COOKIE, sign_in, signed_in
from recon_service.domain.errors import Unauthenticated
from recon_service.domain.template import Template
from recon_service.telemetry import configure_logging
from tests.stacks import Stack, settings_for
from tests.unit.application.enrollments_support import POLICY, ask, bury, run
from tests.unit.application.stores import ListQueue, ScriptedCompute

PNG = b"\x89PNG drawn"


class Drawing(ScriptedCompute):
    def picture(self, template: Template) -> bytes:
        return PNG


@pytest.fixture
def service(tmp_path: Path, stack: Stack) -> Iterator[Service]:
    configure_logging(level="error", format="json")
    small = settings_for(stack, tmp_path / "state")
    opened = open_stores(small)
    yield Service(small, opened.stores, Drawing(), ListQueue(), development_keys=True, checks={})
    opened.close()


@pytest.fixture
def stranger(service: Service) -> TestClient:
    return TestClient(
        create_app(service),
        follow_redirects=False,
        raise_server_exceptions=False,
        headers={"Accept": "text/html"},
    )


@pytest.fixture
def operator(stranger: TestClient, service: Service) -> TestClient:
    token = create_api_key("the night shift", [Scope.OPS], on=service.stores).token
    answer = stranger.post("/console/sign-in", data={"api_key": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    said = answer.headers["set-cookie"].lower()
    assert all(word in said for word in ("httponly", "samesite=strict", "path=/console"))
    assert token.split("_")[2] not in said
    return stranger


def form_token(client: TestClient, path: str = "/console") -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get(path).text)
    assert found is not None
    return found.group(1)


def addresses() -> list[tuple[str, str]]:
    filled = {"{batch_id}": "b", "{operation_id}": "o", "{subject_id}": "s"}
    found = []
    for route in ROUTES:
        path = route.path
        for name, value in {**filled, "{template_id}": "t", "{name}": "x"}.items():
            path = path.replace(name, value)
        found += [(method, path) for method in route.methods]
    return found


def test_without_a_session_every_page_asks_to_sign_in(stranger: TestClient) -> None:
    closed = [(m, p) for m, p in addresses() if "sign-in" not in p and "static" not in p]
    assert len(closed) > 10
    for method, path in closed:
        for cookie in ("", "rubbish", "a.9999999999.b.c"):
            stranger.cookies.set(COOKIE, cookie)
            answer = stranger.request(method, path, data={"form_token": "x"})
            place, _, query = answer.headers.get("location", "").partition("?")
            assert (answer.status_code, place) == (303, "/console/sign-in"), path
            asked = {} if path in ("/console", "/console/sign-out") or method == "POST" else {"next": [path]}
            pressed = {"undone": ["yes"]} if method == "POST" and path != "/console/sign-out" else {}
            assert parse_qs(query) == asked | pressed, path
        script = stranger.request(method, path, data={"form_token": "x"}, headers={"Accept": "image/png"})
        assert (script.status_code, script.json()["type"]) == (401, "/problems/unauthenticated")


def test_only_operations_may_sign_in(stranger: TestClient, service: Service) -> None:
    other = create_api_key("kiosk", [Scope.VERIFY, Scope.ENROLL], on=service.stores).token
    for token, status in ((other, 403), ("nonsense", 401), ("", 401), ("x" * 3000, 401)):
        answer = stranger.post("/console/sign-in", data={"api_key": token, "next": "/console/models"})
        assert answer.status_code == status
        assert "set-cookie" not in answer.headers
        assert 'name="next" value="/console/models"' in answer.text


def test_a_revoked_key_and_an_old_cookie_are_out_at_once(service: Service) -> None:
    made = create_api_key("ops", [Scope.OPS], on=service.stores)
    cookie = sign_in(made.token, on=service.stores, allow_development=False)
    assert signed_in(cookie, on=service.stores, allow_development=False).key.key_id == made.key.key_id
    later = replace(service.stores, clock=lambda: utc_now() + timedelta(hours=8, seconds=1))
    with pytest.raises(Unauthenticated):
        signed_in(cookie, on=later, allow_development=False)
    forged = cookie.replace(made.key.key_id, "000000000000")
    with pytest.raises(Unauthenticated):
        signed_in(forged, on=service.stores, allow_development=False)
    revoke_api_key(made.key.key_id, on=service.stores)
    with pytest.raises(Unauthenticated):
        signed_in(cookie, on=service.stores, allow_development=False)


def test_every_page_shows_and_loads_nothing_from_elsewhere(operator: TestClient, service: Service) -> None:
    run(service.stores, ask(service.stores, subject="ada"))
    submit_batch(Selection(everybody=True), BatchTarget(), priority=5, actor="t", on=service.stores)
    for path in ("", "/batches", "/subjects", "/subjects/ada", "/models", "/given-up"):
        answer = operator.get(f"/console{path}")
        assert answer.status_code == 200, answer.text[:300]
        assert answer.headers["content-security-policy"] == CONTENT_POLICY
        assert not re.search(r'(src|href)="(?!/console)', answer.text.replace('href="#content"', ""))
        assert "<script>" not in answer.text
        assert " style=" not in answer.text
        assert " on" not in "".join(re.findall(r"<\w+([^>]*)>", answer.text)).replace("one", "")


def test_a_subjects_history_without_the_face(operator: TestClient, service: Service) -> None:
    run(service.stores, ask(service.stores, subject="ada"))
    text = operator.get("/console/subjects/ada").text
    assert "enrollment.ended" in text
    assert "<img" not in text
    assert operator.get("/console/subjects?subject=ada").headers["location"] == "/console/subjects/ada"
    assert operator.get("/console/subjects/nobody").status_code == 404
    assert operator.get("/console/subjects/a%3Cb").status_code == 422
    with service.stores.database.snapshot() as tx:
        assert len(list(tx.audit.entries(action="subject.looked-at"))) == 1


def test_the_face_is_shown_when_asked_for_and_that_is_on_record(
    operator: TestClient, service: Service
) -> None:
    made = run(service.stores, ask(service.stores, subject="ada"))
    address = f"/console/subjects/ada/templates/{made.template_id}/face"
    assert operator.get(address).status_code == 405
    refused = operator.post(address, data={"form_token": "0" * 64})
    assert refused.status_code == 403
    with service.stores.database.snapshot() as tx:
        assert not list(tx.audit.entries(action="face.shown"))
    answer = operator.post(address, data={"form_token": form_token(operator)})
    assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")
    assert answer.headers["cache-control"] == "no-store"
    with service.stores.database.snapshot() as tx:
        (entry,) = tx.audit.entries(action="face.shown")
    assert entry.object_id == made.template_id


@pytest.fixture
def address(service: Service) -> str:
    """Of a batch that runs."""
    run(service.stores, ask(service.stores, subject="ada"))
    made, _ = submit_batch(Selection(everybody=True), BatchTarget(), priority=5, actor="t", on=service.stores)
    return f"/console/batches/{made.batch_id}"


def state_of(address: str, service: Service) -> str:
    return look_at_batch(address.rpartition("/")[2], on=service.stores).batch.state.value


def test_items_that_are_not_made_yet_are_counted_as_to_come(address: str, operator: TestClient) -> None:
    page = operator.get(address).text
    assert re.search(r"to come</td><td[^>]*>1<", page)


def test_who_waits_for_the_operator_is_on_the_overview_however_many_came_since(
    operator: TestClient, service: Service
) -> None:
    """What was paused or is ready begins nothing by itself."""
    run(service.stores, ask(service.stores))

    def submitted() -> str:
        asked = {"priority": 5, "actor": "t", "on": service.stores}
        made, _ = submit_batch(Selection(everybody=True), BatchTarget(), **asked)  # type: ignore[arg-type]
        assert made is not None
        return made.batch_id

    paused, ready, over = submitted(), submitted(), ""
    pause_batch(paused, actor="t", on=service.stores)
    with service.stores.database.transaction() as tx:
        tx.batches.change(ready, into=BatchState.READY, out_of=[BatchState.RUNNING], now=utc_now())
    for _ in range(22):
        over = submitted()
        cancel_batch(over, actor="t", on=service.stores)
    page = operator.get("/console").text
    assert f"/console/batches/{paused}" in page
    assert f"/console/batches/{ready}" in page
    assert f"/console/batches/{over}" not in page
    cancel_batch(paused, actor="t", on=service.stores)


def test_buttons_of_a_batch(operator: TestClient, service: Service, address: str) -> None:
    assert operator.post(f"{address}/pause", data={"form_token": "wrong"}).status_code == 403
    form = {"form_token": form_token(operator, address)}
    for button, state, said in (
        ("pause", "paused", "Paused."),
        ("resume", "running", "Resumed."),
        ("cancel", "cancelled", "Canceled for good."),
    ):
        if button == "cancel":
            asked = operator.post(f"{address}/{button}", data=form)
            assert "for good" in asked.text
            assert state_of(address, service) == "running", "what cannot be taken back is asked first"
        answer = operator.post(f"{address}/{button}", data={**form, "sure": "yes"})
        assert (answer.status_code, answer.headers["location"]) == (303, address)
        assert state_of(address, service) == state
        refresh = operator.get(address, headers={"X-Console-Refresh": "yes"}).text
        assert said not in refresh
        assert said in operator.get(address).text
        assert said not in operator.get(address).text, "it is said once"
    assert operator.post(f"{address}/pause", data=form).status_code == 409
    assert operator.post(f"{address}/burn", data=form).status_code == 404


def test_a_button_that_is_pressed_twice_does_it_once(
    operator: TestClient, service: Service, address: str
) -> None:
    form = {"form_token": form_token(operator, address), "seen": "running", "sure": "yes"}
    for button, action in (("pause", "batch.paused"), ("cancel", "batch.cancelled")):
        for said in ("batch is", "Done already"):
            assert operator.post(f"{address}/{button}", data=form).status_code == 303
            assert ("Done already" in operator.get(address).text) == (said == "Done already")
        with service.stores.database.snapshot() as tx:
            assert len(list(tx.audit.entries(action=action))) == 1


def give_up(operation_id: str, service: Service) -> None:
    def breaks(_selfies: object) -> EnrollmentOutcome:
        raise ComputeFault("the process died")

    for _ in range(POLICY.attempts):
        with pytest.raises(ComputeFault):
            run(service.stores, operation_id, ScriptedCompute(breaks))


def test_what_was_given_up_is_tried_again_once(operator: TestClient, service: Service) -> None:
    operation_id = ask(service.stores, subject="ada")
    give_up(operation_id, service)
    page = operator.get("/console/given-up").text
    assert "compute-fault" in page
    form = {"form_token": form_token(operator, "/console/given-up")}
    for said in ("The enrollment waits again", "Done already"):
        answer = operator.post(f"/console/given-up/{operation_id}/retry", data=form)
        assert answer.headers["location"] == "/console/given-up"
        assert said in operator.get("/console/given-up").text
    assert service.queue.rung == 1  # type: ignore[attr-defined]
    give_up(operation_id, service)
    bury(service.stores)
    refused = operator.post(f"/console/given-up/{operation_id}/retry", data=form)
    assert refused.status_code == 409
    assert "enroll the subject again" in refused.text


def test_former_versions_are_taken_back(operator: TestClient, service: Service) -> None:
    first, _ = (run(service.stores, ask(service.stores, subject="ada")) for _ in range(2))
    form = {"form_token": form_token(operator, "/console/subjects/ada")}
    address = f"/console/subjects/ada/templates/{first.template_id}/activate"
    assert "Compare with this version" in operator.post(address, data=form).text
    for _ in range(2):
        assert operator.post(address, data={**form, "sure": "yes"}).status_code == 303
    with service.stores.database.snapshot() as tx:
        active = tx.templates.active("ada")
        (entry,) = tx.audit.entries(action="template.activated")
    assert active is not None
    assert active.template_id == first.template_id
    assert entry.actor != "service"


def test_a_form_of_another_session_does_nothing(operator: TestClient, service: Service) -> None:
    """What another site, or another operator, could know."""
    token = form_token(operator)
    again = create_api_key("second", [Scope.OPS], on=service.stores).token
    operator.post("/console/sign-in", data={"api_key": again})
    assert operator.post("/console/sign-out", data={"form_token": token}).status_code == 403
    assert operator.post("/console/sign-out", data={"form_token": form_token(operator)}).status_code == 303


def test_what_is_written_into_pages_is_escaped(operator: TestClient, service: Service) -> None:
    run(service.stores, ask(service.stores, subject="ada", consent_id="<script>alert(1)</script>"))
    text = operator.get("/console/subjects/ada").text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>" not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (9000, "2.5 h"),
        (3e5, "3.5 d"),
    ],
)
def test_durations_as_people_say_them(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("said", "shown"), [("-0.0 %", "0.0 %"), ("-0.000", "0.000"), ("-0.010", "-0.010"), ("1.0 %", "1.0 %")]
)
def test_a_zero_has_no_sign(said: str, shown: str) -> None:
    assert unsigned_zero(said) == shown


def test_counts_are_readable() -> None:
    assert count(1234567) == "1\u202f234\u202f567"
