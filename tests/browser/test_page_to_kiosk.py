"""The whole way: a person follows the page on a phone, the worker enrolls, and a kiosk with the RealSense
SDK's software device recognizes that person, somebody else not, and a print of the face for what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from recon_service.domain.depth_frame import DepthFrame
from recon_service.simulation import KIOSK_CAMERA, StructuredLight
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation
from tests.browser.make_people import SEED
from tests.integration.running import Server, eventually
from tests.kiosk_people import Visitor, flat_print

pytest.importorskip("pyrealsense2", reason="the package pyrealsense2 is not installed")
pytestmark = pytest.mark.xdist_group("browser")

from tests.e2e.test_kiosk import stand_before_the_kiosk  # noqa: E402 (needs pyrealsense2)
from tests.kiosk_devices import uncropped  # noqa: E402

ON_THE_FILM = 1
SUBJECT = "from-page-to-kiosk"


@cache
def before_the_camera(index: int) -> tuple[DepthFrame, ...]:
    """A visit of somebody of the population that the films show."""
    subject = SyntheticPopulation(PopulationSpec(seed=SEED, subjects=8)).subject(index)
    frames = subject.visit(StructuredLight(), 0, 4, images=True)
    return tuple(uncropped(frame, KIOSK_CAMERA) for frame in frames)


@pytest.fixture(scope="module")
def server(weights_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the dense model, and kiosk sessions required as in production."""
    settings = {"RECON_MODEL": "dense", "RECON_KIOSK_SESSIONS": "required"}
    running = Server(tmp_path_factory.mktemp("way") / "state", settings).start(ready=False)
    try:
        # The dense model takes its time on a busy machine.
        assert eventually(lambda: httpx.get(f"{running.url}/readyz").is_success, limit_s=240)
        yield running
    finally:
        running.stop()


def test_from_the_page_to_the_kiosk(server: Server, obedient: Any) -> None:
    with server.client() as app:
        asked = {"subject_id": SUBJECT, "consent_id": "consent-1"}
        link = app.post("/v1/capture-sessions", json=asked).raise_for_status().json()["url"]
    context = obedient.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(server.url + link)
    page.wait_for_selector("body[data-ready]")
    page.click("#start")
    page.wait_for_selector("#done:not([hidden])")
    context.close()

    frames = before_the_camera(ON_THE_FILM)
    itself = stand_before_the_kiosk(server, SUBJECT, frames)
    assert itself.decision == "MATCH", itself
    other = stand_before_the_kiosk(server, SUBJECT, before_the_camera(3))
    assert other.decision == "NO_MATCH", other
    paper = stand_before_the_kiosk(server, SUBJECT, flat_print(Visitor(SUBJECT, (), frames)))
    assert paper.decision == "PRESENTATION_ATTACK", paper
