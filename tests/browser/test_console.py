"""The console in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recon_service.application.reenrolling.batches import list_batches
from tests.browser.conftest import executable
from tests.browser.console_people import busy_service
from tests.unit.application.batches_support import work
from tests.unit.cli.serving import Serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with busy_service(tmp_path_factory.mktemp("console") / "state") as made:
        yield made


@pytest.fixture(scope="module")
def browser(playwright: Any) -> Iterator[Any]:
    made = playwright.chromium.launch(executable_path=str(executable()), args=["--no-sandbox"])
    yield made
    made.close()


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
    made.get_by_label("API key").fill(service.key)
    made.get_by_role("button", name="Sign in").click()
    made.get_by_role("heading", name="Overview").wait_for()
    yield made
    context.close()
    assert complaints == []


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
    done = next(p.batch for p in list_batches(on=service.stores) if p.batch.state.value == "active")
    page.goto(f"{service.url}/console/batches/{done.batch_id}")
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


def test_signing_out(page: Any, service: Serving) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto(f"{service.url}/console/subjects/user-8c41")
    assert page.url.endswith("/console/sign-in")


def test_without_scripts_the_pages_still_work(browser: Any, service: Serving, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{service.url}/console/sign-in")
    page.get_by_label("API key").fill(service.key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Models").click()
    page.get_by_role("heading", name="Models and calibrations").wait_for()
    context.close()
