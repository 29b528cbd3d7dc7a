"""The kiosk's page in a real browser: what it shows, in both languages, and nothing that the policy
forbids.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from recon_service.domain.camera import PinholeCamera
from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.guidance import Advice
from recon_service.kiosk.screen import Screen
from recon_service.kiosk.screen.state import Shown
from recon_service.kiosk.visit import Moment, VisitResult
from tests.integration.running import eventually

CAMERA = PinholeCamera(width=64, height=48, fx=60, fy=60, cx=31.5, cy=23.5)
PICTURE = np.zeros((48, 64, 3), np.uint8)
PICTURE[:, 32:] = (250, 0, 0)
FRAME = CameraFrame(np.full((48, 64), 500, np.uint16), 1.0, CAMERA, 0.0, 0, PICTURE)
RED_ON_THE_LEFT = """() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 10;
  const paper = canvas.getContext("2d");
  paper.drawImage(document.querySelector("#preview"), 0, 0, 10, 10);
  return paper.getImageData(1, 5, 1, 1).data[0];
}"""


def test_the_page_shows_each_state_in_both_languages_without_a_complaint(browser: Any) -> None:
    shown, asked, cancelled = Shown(), [], threading.Event()

    def ask(subject: str) -> dict[str, str]:
        asked.append(subject)
        return {"decision": "MATCH"}

    def camera() -> bool:
        """One more frame, as there is one every 33 ms; whether the page shows a picture."""
        shown.moment(Moment("guiding", Advice.TURN_LEFT, 0.25, FRAME, None))
        return bool(page.evaluate("document.querySelector('#preview').naturalWidth > 0"))

    screen = Screen(shown, ask, cancelled.set)
    page = browser.new_page(viewport={"width": 1080, "height": 1920})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda fault: said.append(str(fault)))
    try:
        page.goto(screen.url + "?lang=en")
        page.get_by_label("Your number").fill("user-8c41")
        page.get_by_role("button", name="Start").click()
        assert eventually(lambda: asked == ["user-8c41"])
        shown.moment(Moment("guiding", Advice.TURN_LEFT, 0.25, FRAME, None))
        page.wait_for_selector("text=Turn your head a little to the left")
        assert eventually(camera)
        # A mirror: what the camera has on its right is on the left of the page.
        assert page.evaluate(RED_ON_THE_LEFT) > 200
        assert page.locator("[role=status]").get_attribute("aria-live") == "assertive"
        page.get_by_role("button", name="한국어").click()
        page.wait_for_selector("text=고개를 왼쪽으로 조금 돌려 주세요")
        assert page.evaluate("document.documentElement.lang") == "ko"
        page.get_by_role("button", name="그만하기").click()
        assert cancelled.wait(5)
        shown.result(VisitResult("NO_MATCH"))
        page.wait_for_selector("text=확인할 수 없습니다")
        assert page.evaluate("document.querySelector('#preview').getAttribute('src')") is None
        shown.show(stage="trouble", code="offline-refused")
        page.wait_for_selector("text=연결이 끊겼습니다")
        shown.show(stage="trouble", code="camera-stalled")
        page.wait_for_selector("text=카메라가 작동하지 않습니다")
        assert said == []
    finally:
        page.close()
        screen.close()
