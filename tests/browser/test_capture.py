"""The capture page, as people meet it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.browser import camera
from tests.browser.conftest import launched
from tests.integration.running import Server

pytestmark = pytest.mark.xdist_group("browser")
OpenPage = Callable[..., Any]

COLLECT_HINTS = """() => {
    window.hints = new Set();
    const stage = document.getElementById("stage");
    new MutationObserver(() => window.hints.add(stage.dataset.hint)).observe(stage, {attributes: true});
}"""


def templates(server: Server, subject: str) -> int:
    with server.client() as client:
        answer = client.get(f"/v1/subjects/{subject}/templates")
    return len(answer.json()["templates"]) if answer.status_code == 200 else 0


def colors(page: Any, selector: str, tmp_path: Path) -> int:
    """How many colors an element shows: a drawn shape has many, an empty canvas few."""
    path = tmp_path / "element.png"
    page.locator(selector).screenshot(path=str(path))
    return len(np.unique(np.asarray(PillowImage.open(path).convert("RGB")).reshape(-1, 3), axis=0))


def test_who_follows_the_words_ends_with_a_stored_template(
    obedient: Any, opened: OpenPage, server: Server, tmp_path: Path
) -> None:
    page = opened(obedient, "page-good", wish={"return_url": "https://app.example/done"})
    page.evaluate(COLLECT_HINTS)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.click("#start")
    page.wait_for_selector("#done:not([hidden])")
    page.wait_for_selector("#mesh[data-ready]")
    assert templates(server, "page-good") == 1
    assert page.get_attribute("#stage", "data-device") == "true", "the face model ran on the device"
    hints = set(page.evaluate("() => [...window.hints]"))
    assert {"turnLeft", "turnRight", "holdStill", "taken"} <= hints
    assert colors(page, "#mesh", tmp_path) > 200
    assert page.get_attribute("#return", "href") == "https://app.example/done"
    # Nothing but this service was asked, and no picture left but those that were taken.
    assert all(url.startswith(server.url) for url in sent if not url.startswith(("blob:", "data:")))
    frames = {url for url in sent if "/frames/" in url}
    assert 5 <= len(frames) <= 9
    # The secret is in no address, no log, and no Referer.
    assert page.secret not in page.url
    assert all(page.secret not in url for url in sent)
    assert page.secret not in server.log.read_text()
    # Loaded again, the page shows the same end; the link enrolls nobody a second time.
    page.reload()
    page.wait_for_selector("#done:not([hidden])")


def test_nothing_is_taken_while_anything_is_wrong(troubled: Any, opened: OpenPage) -> None:
    page = opened(troubled, "page-bad")
    page.evaluate(COLLECT_HINTS)
    page.click("#start")
    page.wait_for_function(
        """() => ["noFace", "twoFaces", "moreLight", "glasses", "closer", "lookAhead"].every(
            (hint) => window.hints.has(hint)
        )"""
    )
    assert page.inner_text("#count") == "0 of 5 pictures taken"
    assert not page.evaluate("() => window.hints.has('taken')")
    # What is seen is also said.
    assert page.inner_text("#live") != ""
    page.click("#stop")
    assert page.is_visible("#intro")


def test_a_lost_network_is_told_and_nothing_is_lost(obedient: Any, opened: OpenPage, server: Server) -> None:
    page = opened(obedient, "page-offline")
    with page.expect_response(re.compile("/v1/capture/frames/1$")) as second:
        page.click("#start")
    assert second.value.json()["accepted"]
    page.reload()  # as when somebody answers a call: the page goes on where it was
    page.wait_for_selector("body[data-ready]")
    page.click("#start")
    assert page.inner_text("#count").startswith("2 of")
    page.context.set_offline(True)
    page.wait_for_selector("#banner:not([hidden])")
    assert "kept on this device" in page.inner_text("#banner")
    page.wait_for_selector("#working:not([hidden])")
    assert templates(server, "page-offline") == 0
    page.context.set_offline(False)
    page.wait_for_selector("#done:not([hidden])")
    assert templates(server, "page-offline") == 1


def test_without_the_camera_pictures_are_chosen(
    playwright: Any, chromium: Path, films: dict[str, Path], opened: OpenPage, server: Server, tmp_path: Path
) -> None:
    from tests.integration.running import portrait_jpeg

    wall = tmp_path / "wall.jpg"
    PillowImage.fromarray(camera.nobody()).save(wall)
    real = tmp_path / "real.jpg"
    real.write_bytes(portrait_jpeg("astronaut"))
    with launched(playwright, chromium, films["obedient"], allow=False) as browser:
        page = opened(browser, "page-files")
        # By keyboard alone: the switch of language, then the two ways on.
        for wanted in ("switch", "start", "upload"):
            page.keyboard.press("Tab")
            focused = page.evaluate("() => document.activeElement.id || document.activeElement.className")
            assert focused == wanted
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#message[data-kind=denied]:not([hidden])")
        page.click("#message-actions button:first-child")
        page.set_input_files("#file", [str(wall), str(real)])
        page.wait_for_selector("[data-verdict=rejected]")
        page.wait_for_selector("[data-verdict=good]")
        assert "exactly one face" in page.inner_text("[data-verdict=rejected]")
        assert page.is_disabled("#files-enroll")
        again = opened(browser, "page-files-2")
        again.click("#upload")
        again.set_input_files("#file", [str(camera.file_of(1, pose)) for pose in ("front", "left", "right")])
        again.wait_for_selector("#files-enroll:not([disabled])")
        again.click("#files-enroll")
        again.wait_for_selector("#done:not([hidden])")
    assert templates(server, "page-files-2") == 1


def test_a_real_face_is_seen_and_its_picture_accepted(
    playwright: Any, chromium: Path, opened: OpenPage, server: Server, tmp_path: Path
) -> None:
    from tests.images import portrait

    face = camera.portrait(portrait("astronaut"), (225, 123), 230)
    film = camera.film(tmp_path / "real.y4m", [(face, 2.0)])
    with launched(playwright, chromium, film) as browser:
        page = opened(browser, "page-real")
        with page.expect_response(re.compile("/v1/capture/frames/0$")) as answer:
            page.click("#start")
        assert answer.value.json()["accepted"]
        page.wait_for_selector("#stage[data-hint=turnLeft]")
        assert page.inner_text("#count") == "1 of 5 pictures taken"


def test_korean_and_guided_by_the_service(obedient: Any, opened: OpenPage, server: Server) -> None:
    page = opened(obedient, "page-ko", query="?server-guidance", locale="ko-KR", color_scheme="dark")
    assert page.get_attribute("html", "lang") == "ko"
    assert not re.search(r"[a-z]{4}", page.inner_text("main")), "a word that was not translated"
    page.click("#start")
    page.wait_for_selector("#done:not([hidden])")
    assert page.get_attribute("#stage", "data-device") == "false"
    assert templates(server, "page-ko") == 1
    page.click(".switch")
    page.wait_for_selector("html[lang=en] #done:not([hidden])")


def test_the_sessions_language_wins_and_a_wrong_link_says_so(
    obedient: Any, opened: OpenPage, server: Server
) -> None:
    page = opened(obedient, "page-language", wish={"language": "ko"})
    page.wait_for_selector("html[lang=ko] body[data-ready]")
    page.goto(f"{server.url}/enroll/cap_{'0' * 32}?lang=en#{'A' * 43}")
    page.wait_for_selector("#message[data-kind=expired]:not([hidden])")
    assert "has ended" in page.inner_text("#message")


KEEP_THE_WORKER = """{
    const Made = window.Worker;
    window.Worker = class extends Made { constructor(...all) { super(...all); window.worker = this; } };
}"""
NO_STORAGE = """Object.defineProperty(window, "sessionStorage", {
    get() { throw new DOMException("not here", "SecurityError"); },
});"""


def test_impatience_and_the_ways_back(obedient: Any, opened: OpenPage) -> None:
    page = opened(obedient, "page-impatient")
    page.context.set_offline(True)
    page.click("#start")
    page.wait_for_selector("#message[data-kind=unseen]:not([hidden])")
    assert page.evaluate("() => document.getElementById('video').srcObject.active") is False, "camera is off"
    page.context.set_offline(False)
    page.route("**/web/models/*", lambda route: (page.wait_for_timeout(700), route.continue_()))
    page.click("#message-actions button:first-child")
    page.click("#stop")
    page.click("#start")  # while the first start still waits for the models
    with page.expect_response(re.compile("/v1/capture/frames/0$")):
        pass
    page.go_back()  # of the phone: to the first step, not out of the page
    page.wait_for_selector("#intro:not([hidden])")
    assert re.search("[1-5] of 5", page.inner_text("#start"))
    page.click("#start")
    page.wait_for_selector("#stage[data-hint=turnLeft]")


def test_a_device_that_gives_up_and_a_camera_that_is_taken_away(obedient: Any, opened: OpenPage) -> None:
    page = opened(obedient, "page-lost", before=KEEP_THE_WORKER)
    page.click("#start")
    page.wait_for_selector("#stage[data-device=true]")
    page.evaluate("() => window.worker.terminate()")
    page.wait_for_selector("#stage[data-device=false]")  # the service looks instead, and the page says so
    assert "sent for guidance" in page.inner_text("#banner")
    page.wait_for_selector("#stage[data-hint=holdStill]")
    page.evaluate(
        "() => document.getElementById('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
    )
    page.wait_for_selector("#message[data-kind=busy]:not([hidden])")
    assert "has stopped" in page.inner_text("#message-title")


def test_the_link_ends_while_the_pictures_are_worked_on_in_a_web_view(
    obedient: Any, opened: OpenPage, server: Server, tmp_path: Path
) -> None:
    """It keeps nothing, and the gallery of its phone has a file that no browser can show."""
    wish = {"return_url": "https://app.example/done"}
    page = opened(obedient, "page-web-view", before=NO_STORAGE, wish=wish)
    unknown = tmp_path / "gallery.heic"
    unknown.write_bytes(b"no picture")
    page.click("#upload")
    page.set_input_files("#file", [str(unknown), str(camera.file_of(1, "front"))])
    page.set_input_files("#file", [str(camera.file_of(1, pose)) for pose in ("left", "right")])
    page.wait_for_selector("#files-enroll:not([disabled])")
    assert page.locator("[data-verdict=good]").count() == 3
    assert "cannot be read" in page.inner_text("[data-verdict=rejected]")
    page.click(".switch")  # loaded again in the other language: the session is still open
    page.wait_for_selector("html[lang=ko] body[data-ready]")
    page.click("#upload")
    page.route(
        "**/v1/capture", lambda route: route.fulfill(status=401, json={"type": "/problems/unauthenticated"})
    )
    page.click("#files-enroll")
    page.wait_for_selector("#message[data-kind=sent]:not([hidden])")
    assert page.get_attribute("#message-actions a", "href") == "https://app.example/done"
    for _ in range(100):
        if templates(server, "page-web-view") == 0:
            page.wait_for_timeout(100)
    assert templates(server, "page-web-view") == 1


def test_a_page_that_is_loaded_again_says_what_became_of_the_attempt(obedient: Any, opened: OpenPage) -> None:
    page = opened(obedient, "page-again")
    operation = {"state": "rejected", "stage": "done", "progress": 1, "problem": {"code": "stranger-in-set"}}
    state = {
        "state": "open",
        "language": None,
        "return_url": "https://app.example/done",
        "frames": [],
        "attempts_left": 3,
        "operation": operation,
    }
    answers = iter(
        [{"json": state}, {"json": {**state, "state": "spent"}}] + 4 * [{"status": 500, "json": {}}]
    )
    page.route("**/v1/capture", lambda route: route.fulfill(**next(answers)))
    page.reload()
    page.wait_for_selector("#message[data-kind=rejected]:not([hidden])")
    assert "same person" in page.inner_text("#message-text")
    assert "3 more times" in page.inner_text("#message-text")
    page.reload()
    page.wait_for_selector("#message[data-kind=spent]:not([hidden])")
    assert page.inner_text("#message-actions a") == "Back to the app"
    page.reload()  # a fault of the service that stays is told, and not only waited for
    page.wait_for_selector("#message[data-kind=failed]:not([hidden])")
    page.unroute("**/v1/capture")
    page.click("#message-actions button")
    page.wait_for_selector("#intro:not([hidden])")
