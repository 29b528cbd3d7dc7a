"""The documentation of the API in a real Chromium: it is all there, and its calls can be tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from recon_service.application.records.access import Scope
from tests.browser.console_people import Drawing
from tests.unit.application.batches_support import add_subject
from tests.unit.cli.serving import Serving, serving

SCOPES = (Scope.ENROLL, Scope.VERIFY, Scope.OPS)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("docs") / "state", scopes=SCOPES, compute=Drawing()) as made:
        yield made


@pytest.fixture
def page(browser: Any, service: Serving) -> Iterator[Any]:
    """What the browser complains of must be nothing, and it must ask nobody but the service."""
    context = browser.new_context()
    made = context.new_page()
    made.set_default_timeout(15_000)
    complaints: list[str] = []
    asked: list[str] = []
    made.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    made.on("pageerror", lambda fault: complaints.append(str(fault)))
    made.on("request", lambda request: asked.append(request.url))
    made.goto(f"{service.url}/docs")
    made.locator(".opblock").first.wait_for()
    yield made
    context.close()
    assert complaints == []
    ours = (f"{service.url}/", f"blob:{service.url}/", "data:")
    assert [url for url in asked if not url.startswith(ours)] == []


def opened(page: Any, operation: str) -> Any:
    call = page.locator(f"#operations-{operation}")
    call.locator(".opblock-summary-control").click()
    call.get_by_role("button", name="Try it out").click()
    return call


def answered(call: Any) -> str:
    call.get_by_role("button", name="Execute").click()
    answer = call.locator(".live-responses-table .response")
    answer.wait_for()
    return str(answer.inner_text())


def test_every_call_is_there_and_can_be_tried(page: Any, service: Serving) -> None:
    document = httpx.get(f"{service.url}/openapi.json").json()
    listed = {
        f"operations-{tag}-{call['operationId']}"
        for methods in document["paths"].values()
        for call in methods.values()
        for tag in call["tags"]
    }
    assert {block.get_attribute("id") for block in page.locator(".opblock").all()} == listed
    page.get_by_role("heading", name="Who calls what").wait_for()
    assert '"status": "alive"' in answered(opened(page, "health-live"))

    template = add_subject(service.stores, "user-1")
    page.get_by_role("button", name="Authorize").first.click()
    keys = page.locator(".auth-container")
    assert keys.count() == 2
    assert "Scopes: enroll, verify, ops" in keys.first.inner_text()
    keys.first.get_by_role("textbox").fill(service.key)
    keys.first.get_by_role("button", name="Apply credentials").click()
    keys.first.get_by_role("button", name="Close").click()
    picture = opened(page, "ops-picture")
    for name, value in (("subject_id", "user-1"), ("template_id", template)):
        picture.locator(f"tr[data-param-name={name}] input").fill(value)
    assert "200" in answered(picture)
    shown = picture.locator(".live-responses-table img")
    shown.wait_for()
    assert shown.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 60

    enrollment = opened(page, "enroll-enroll")
    enrollment.locator("tr[data-param-name=subject_id] input").fill("user-2")
    selfie = {"name": "selfie.png", "mimeType": "image/png", "buffer": b"a selfie"}
    enrollment.locator("tr[data-property-name=selfies] input[type=file]").set_input_files(selfie)
    assert '"state": "queued"' in answered(enrollment)
    sent = enrollment.locator(".curl-command").inner_text()
    parts = {line.split("'")[1].partition("=")[0] for line in sent.splitlines() if " -F " in line}
    assert parts == {"selfies", "consent_id"}, "what may be left out was"

    page.reload()
    page.locator(".opblock").first.wait_for()
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert page.locator(".auth-wrapper .locked").count() == 0, "the key is forgotten"


def test_intrinsics_are_typed_and_sent_as_one_part(page: Any, service: Serving) -> None:
    seen: list[str] = []

    def answer(route: Any) -> None:
        seen.append(route.request.post_data or "")
        route.fulfill(status=200, content_type="application/json", body="{}")

    page.route("**/verifications", answer)
    call = opened(page, "verify-verify")
    call.locator("tr[data-param-name=subject_id] input").fill("user-1")
    depth = {"name": "depth.png", "mimeType": "image/png", "buffer": b"a depth map"}
    call.locator("tr[data-property-name=depth] input[type=file]").set_input_files(depth)
    answered(call)
    (form,) = seen
    names = [line for line in form.splitlines() if line.startswith("Content-Disposition")]
    assert [line.partition("name=")[2] for line in names] == ['"depth"; filename="depth.png"', '"intrinsics"']
