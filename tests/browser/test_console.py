"""The console in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from recon_service.application.records.batches import Selection
from recon_service.application.records.evaluations import EvaluationState
from recon_service.application.reenrolling.batches import list_batches, submit_batch
from tests.browser.console_people import CARRIED, busy_service
from tests.unit.application.batches_support import work
from tests.unit.cli.serving import Serving
from tests.unit.console.test_comparison import OUTCOME

pytestmark = pytest.mark.xdist_group("console")
"""One service: what a test does to its batches, the next ones find."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with busy_service(tmp_path_factory.mktemp("console") / "state") as made:
        yield made


@pytest.fixture
def page(browser: Any, service: Serving) -> Iterator[Any]:
    """Signed in; what the browser complains of must be nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    made = context.new_page()
    made.set_default_timeout(15_000)
    complaints: list[str] = []
    made.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    made.on("pageerror", lambda fault: complaints.append(str(fault)))
    made.goto(f"{service.url}/console")
    assert made.url.endswith("/console/sign-in")
    sign_in(made, service)
    made.get_by_role("heading", name="Overview").wait_for()
    made.complaints = complaints
    yield made
    context.close()
    assert complaints == []


def sign_in(page: Any, service: Serving) -> None:
    page.get_by_label("API key").fill(service.key)
    page.get_by_role("button", name="Sign in").click()


def a_batch(service: Serving, state: str) -> str:
    """The newest in that state, running or ready; made where there is none."""
    found = [p.batch for p in list_batches(on=service.stores) if p.batch.state.value == state]
    if not found:
        everybody = Selection(everybody=True)
        made, _ = submit_batch(everybody, CARRIED, priority=5, actor="ops", on=service.stores)
        found = [made]
        if state == "ready":
            work(service.stores)
    return found[0].batch_id


def test_a_batch_is_watched_live_paused_and_resumed(page: Any, service: Serving) -> None:
    newest = list_batches(on=service.stores)[0].batch.batch_id
    page.get_by_role("link", name="Batches").click()
    page.locator(f'a[href$="{newest}"]').click()
    page.get_by_role("heading", name="Batch").wait_for()
    before = page.locator("dd").first.inner_text()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").wait_for()
    assert list_batches(on=service.stores)[0].batch.state.value == "paused"
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Pause").wait_for()
    work(service.stores)
    # The page comes to know by itself.
    page.wait_for_function("text => document.querySelector('dd').innerText !== text", arg=before)
    page.locator("h1 .badge", has_text="ready").wait_for()


def test_what_cannot_be_taken_back_is_asked_first(page: Any, service: Serving) -> None:
    page.goto(f"{service.url}/console/batches/{a_batch(service, 'active')}")
    asked: list[str] = []

    def refuse(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", refuse)
    page.get_by_role("button", name="Roll back").click()
    assert asked == ["Put the former templates in force again?"]
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Roll back").click()
    page.locator("h1 .badge", has_text="rolling-back").wait_for()
    page.get_by_text("The roll-back has begun").wait_for()
    page.reload()
    page.locator("h1 .badge", has_text="rolling-back").wait_for()
    assert page.get_by_text("The roll-back has begun").count() == 0


def test_a_subject_is_looked_up_and_taken_back(page: Any, service: Serving) -> None:
    page.get_by_role("link", name="Subjects").click()
    page.get_by_label("Subject").fill("user-8c41")
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("heading", name="user-8c41").wait_for()
    assert page.locator("img").count() == 0
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Activate").last.click()
    page.get_by_text("template.activated").wait_for()


def test_it_is_usable_by_keyboard_and_on_a_phone(page: Any, service: Serving) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{service.url}/console")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, "nothing is wider than the screen"


@pytest.mark.parametrize("width", [1280, 390])
def test_a_fault_is_a_page_with_a_way_on(page: Any, service: Serving, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for address, status, title in (
        ("/batches/none", 404, "Not found"),
        ("/batches?before=yesterday", 422, "Invalid value"),
        ("/no/such/page", 404, "Not found"),
    ):
        answer = page.goto(f"{service.url}/console{address}")
        assert answer.status == status
        page.get_by_role("heading", name=title).wait_for()
        trace = page.locator("dt:text-is('Trace') + dd").inner_text()
        assert len(trace) == 32
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.complaints.clear()  # the browser's own line about a status of 400 and more
    page.get_by_role("link", name="To the overview").click()
    page.get_by_role("heading", name="Overview").wait_for()


def test_whose_session_ends_signs_in_and_is_back(page: Any, service: Serving) -> None:
    running = a_batch(service, "running")
    address = f"{service.url}/console/batches/{running}?state=waiting"
    page.goto(address)
    page.context.clear_cookies()
    # The page finds out by itself, while it refreshes.
    page.get_by_text("Sign in to go on where you were.").wait_for()
    sign_in(page, service)
    page.wait_for_url(address)
    page.evaluate("document.querySelector('main').dataset.live = ''")
    page.context.clear_cookies()
    with page.expect_navigation():
        page.evaluate("document.querySelector('main form').requestSubmit()")
    page.get_by_text("Nothing was changed").wait_for()
    sign_in(page, service)
    page.wait_for_url(address)
    assert a_batch(service, "running") == running


def test_a_face_is_shown_in_the_page(page: Any, service: Serving) -> None:
    page.goto(f"{service.url}/console/subjects/user-8c41")
    page.get_by_role("button", name="Show the face").first.click()
    page.locator("#face img").wait_for()
    assert page.evaluate("document.querySelector('#face img').naturalWidth") == 60
    assert page.url.endswith("/user-8c41")


def test_the_comparison_follows_its_evaluation(page: Any, service: Serving) -> None:
    """Without the sample being looked at again: that opens templates."""
    batch_id = a_batch(service, "ready")
    page.goto(f"{service.url}/console/batches/{batch_id}/comparison")
    page.get_by_role("button", name="Try both ways").click()
    page.get_by_text("this page follows it").wait_for()
    page.get_by_text("waits for a worker").wait_for()
    looked = compared(service)
    with service.stores.database.transaction() as tx:
        (asked,) = tx.evaluations.of_batch(batch_id)
        tx.evaluations.put(replace(asked, done=7, total=48))
    page.get_by_text("7 of 48 looked at").wait_for()
    outcome = replace(asked, state=EvaluationState.DONE, done=48, total=48, outcome=OUTCOME)
    with service.stores.database.transaction() as tx:
        tx.evaluations.put(outcome)
    page.get_by_role("heading", name="24 simulated people").wait_for()
    page.get_by_role("button", name="once more").wait_for()
    assert page.evaluate("document.getElementById('evaluations').dataset.live") == "", "it has its end"
    assert compared(service) == looked


def compared(service: Serving) -> int:
    with service.stores.database.snapshot() as tx:
        return len(list(tx.audit.entries(action="batch.compared")))


def test_a_table_that_refreshes_stays_where_it_was_scrolled(page: Any, service: Serving) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{service.url}/console/batches/{a_batch(service, 'ready')}")
    page.get_by_role("link", name="What would it change?").focus()
    page.evaluate("document.querySelector('.scroll').scrollLeft = 60")
    page.evaluate("document.querySelector('.scroll').firstElementChild.dataset.old = 'yes'")
    page.wait_for_function("() => !document.querySelector('[data-old]')")
    assert page.evaluate("document.querySelector('.scroll').scrollLeft") == 60
    assert page.evaluate("document.activeElement.textContent") == "What would it change?"


def test_signing_out(page: Any, service: Serving) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto(f"{service.url}/console/subjects/user-8c41")
    assert "/console/sign-in" in page.url


def test_without_scripts_the_pages_still_work(browser: Any, service: Serving) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(f"{service.url}/console/sign-in")
    sign_in(page, service)
    page.get_by_role("link", name="Models").click()
    page.get_by_role("heading", name="Models and calibrations").wait_for()
    found = a_batch(service, "running")
    address = f"{service.url}/console/batches/{found}"
    page.goto(address)
    page.get_by_role("button", name="Pause").dblclick()
    page.get_by_text(re.compile("Nothing more is begun|Done already")).wait_for()
    page.get_by_role("button", name="Cancel the batch").click()
    page.get_by_role("heading", name="Cancel the batch?").wait_for()
    assert a_batch(service, "paused") == found
    page.get_by_role("link", name="Back, and change nothing").click()
    page.wait_for_url(address)
    page.get_by_role("button", name="Cancel the batch").click()
    page.get_by_role("button", name="Cancel the batch").click()
    page.get_by_text("Canceled for good").wait_for()
    assert a_batch(service, "cancelled") == found
    page.goto(f"{service.url}/console/subjects/user-8c41")
    page.get_by_role("button", name="Show the face").first.click()
    assert page.url.endswith("/face")
    assert page.locator("img").count() == 1
    context.close()
