"""What a person meets when the console cannot do what was asked, and what a program meets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.errors import StorageUnavailable
from recon_service.application.keeping.keys import create_api_key
from recon_service.application.records.access import Scope
from recon_service.bootstrap import open_stores
from recon_service.console.places import back_to
from recon_service.console.rendering import POLICY
from recon_service.domain.template import Template
from recon_service.telemetry import configure_logging
from tests.stacks import Embedded, settings_for
from tests.unit.application.enrollments_support import ask, run
from tests.unit.application.stores import ListQueue, ScriptedCompute

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TRACE = 16 * "ab"


class Broken(ScriptedCompute):
    """fault: what drawing a face meets."""

    fault: Exception = RuntimeError("nobody foresaw it")

    def picture(self, template: Template) -> bytes:
        raise self.fault


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    configure_logging(level="error", format="json")
    small = settings_for(Embedded(), tmp_path_factory.mktemp("faults") / "state")
    opened = open_stores(small)
    yield Service(small, opened.stores, Broken(), ListQueue(), development_keys=True, checks={})
    opened.close()


@pytest.fixture
def person(service: Service) -> TestClient:
    return signed_in(service)


def signed_in(service: Service) -> TestClient:
    made = TestClient(
        create_app(service), follow_redirects=False, raise_server_exceptions=False, headers=BROWSER
    )
    token = create_api_key("ops", [Scope.OPS], on=service.stores).token
    assert made.post("/console/sign-in", data={"api_key": token}).status_code == 303
    return made


def form_token(person: TestClient) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', person.get("/console").text)
    assert found is not None
    return found.group(1)


MISSED = {
    ("GET", "/console/batches/none"): (404, "not-found", "There is no such batch."),
    ("GET", "/console/batches/none/comparison"): (404, "not-found", "There is no such batch."),
    ("GET", "/console/subjects/nobody"): (404, "not-found", "There is no such subject."),
    ("GET", "/console/subjects/a%3Cb"): (422, "invalid-value", ""),
    ("GET", "/console/batches?before=yesterday"): (422, "invalid-value", ""),
    ("GET", "/console/batches/none/pause"): (405, "not-found", "This address is of a button"),
    ("GET", "/console/nothing/here"): (404, "not-found", "There is nothing at this address."),
    ("POST", "/console/batches/none/pause"): (422, "invalid-value", "form_token"),
}


@pytest.mark.parametrize(("method", "address"), sorted(MISSED))
def test_a_fault_is_a_page_for_a_person_and_a_problem_for_a_program(
    person: TestClient, method: str, address: str
) -> None:
    status, code, said = MISSED[method, address]
    trace = {"traceparent": f"00-{TRACE}-{8 * 'cd'}-01"}
    shown = person.request(method, address, headers=trace)
    assert shown.status_code == status
    assert shown.headers["content-type"].startswith("text/html")
    assert shown.headers["content-security-policy"] == POLICY
    assert said in shown.text
    assert TRACE in shown.text
    assert shown.headers["x-request-id"] in shown.text
    assert "Sign out" in shown.text, "the way to the other pages"
    assert "/v1/" not in shown.text
    told = person.request(method, address, headers={"Accept": "*/*"})
    assert (told.status_code, told.headers["content-type"]) == (status, "application/problem+json")
    assert told.json()["type"] in shown.text
    if status != 405:
        assert told.json()["type"] == f"/problems/{code}"


def test_the_api_tells_problems_even_to_a_browser(person: TestClient) -> None:
    assert person.get("/v1/batches").headers["content-type"] == "application/problem+json"
    assert person.get("/consoles").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("fault", "status", "code", "wait"),
    [
        (StorageUnavailable("the database does not answer"), 503, "storage-unavailable", "5"),
        (RuntimeError("secret inside"), 500, "internal-fault", None),
    ],
)
def test_faults_of_ours_are_pages_too(
    person: TestClient, service: Service, fault: Exception, status: int, code: str, wait: str | None
) -> None:
    made = run(service.stores, ask(service.stores, subject="ada"))
    service.compute.fault = fault  # type: ignore[attr-defined]
    answer = person.post(
        f"/console/subjects/ada/templates/{made.template_id}/face",
        data={"form_token": form_token(person)},
        headers={"Referer": "http://testserver/console/subjects/ada"},
    )
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, wait)
    assert f"/problems/{code}" in answer.text
    assert 'href="/console/subjects/ada"' in answer.text, "back to where the form was"
    assert "secret inside" not in answer.text


def test_without_a_database_there_is_still_a_page(tmp_path: Path) -> None:
    small = settings_for(Embedded(), tmp_path / "state")
    opened = open_stores(small)
    lost = Service(small, opened.stores, Broken(), ListQueue(), development_keys=True, checks={})
    person = signed_in(lost)
    opened.close()
    for file in small.state_dir.glob("*.sqlite3*"):
        file.unlink()
    answer = person.get("/console/batches")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "The database does not answer." in answer.text
    assert '<a href="/console/batches">Try again</a>' in answer.text


def test_a_form_without_end_is_not_read(person: TestClient) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = person.post("/console/sign-in", content=b"api_key=" + b"x" * 2_000_000, headers=form)
    assert answer.status_code == 413
    assert "payload-too-large" in answer.text


def test_whose_session_has_ended_signs_in_and_is_back(person: TestClient, service: Service) -> None:
    person.cookies.clear()
    asked = person.get("/console/batches?before=2026-01-01T00:00:00Z")
    location = asked.headers["location"]
    assert asked.status_code == 303
    assert "go on where you were" in person.get(location).text
    place = parse_qs(urlsplit(location).query)["next"][0]
    assert place == "/console/batches?before=2026-01-01T00:00:00Z"
    token = create_api_key("again", [Scope.OPS], on=service.stores).token
    back = person.post("/console/sign-in", data={"api_key": token, "next": place})
    assert (back.status_code, back.headers["location"]) == (303, place)


def test_what_was_pressed_after_the_end_of_the_session_is_said_to_be_undone(person: TestClient) -> None:
    person.cookies.clear()
    pressed = person.post(
        "/console/batches/b/pause",
        data={"form_token": "x"},
        headers={"Referer": "http://testserver/console/batches/b"},
    )
    assert parse_qs(urlsplit(pressed.headers["location"]).query) == {
        "next": ["/console/batches/b"],
        "undone": ["yes"],
    }
    assert "Nothing was changed" in person.get(pressed.headers["location"]).text


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://elsewhere.example/console",
        "//elsewhere.example/console",
        "/\\elsewhere.example",
        "/console\\..",
        "/console/../v1/keys",
        "/console/%2e%2e/v1/keys",
        "/console/./x",
        "/consoles",
        "/console/sign-out",
        "/console/sign-in?next=/console",
        "/console/static/console.js",
        "/console/batches\r\nSet-Cookie: a=b",
        "/console/batches#x",
        "/console//elsewhere.example",
        "javascript:alert(1)",
        "/console/" + "x" * 3000,
    ],
)
def test_a_link_leads_nowhere_but_to_a_page_of_the_console(person: TestClient, address: str) -> None:
    assert back_to(address) == "/console"
    assert f'value="{address}"' not in person.get("/console/sign-in", params={"next": address}).text


@pytest.mark.parametrize(
    "address", ["/console", "/console/batches?before=2026-01-01T00:00:00+00:00", "/console/subjects/a%20b"]
)
def test_a_page_of_the_console_is_come_back_to(address: str) -> None:
    assert back_to(address) == address
