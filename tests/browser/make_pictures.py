"""Draws docs/pictures/capture: the capture page on a phone and on a desk, light and dark, in both languages.

`make pictures`. Korean needs a Korean font on this machine (Debian: fonts-nanum). It also measures when the
first paint comes on a processor slowed down six times.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from playwright.sync_api import sync_playwright

from recon_service.simulation import Stereo
from recon_service.simulation.population.population import SyntheticPopulation
from recon_service.simulation.population.spec import PopulationSpec
from tests.browser import camera
from tests.browser.conftest import executable, launched
from tests.browser.make_people import SEED
from tests.integration.running import Server, enroll

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "capture"
PHONE = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 1.5}
DESK = {"viewport": {"width": 1180, "height": 820}, "device_scale_factor": 1}
LOOKS = {
    "phone-light-en": (PHONE, "light", "en-US"),
    "phone-dark-ko": (PHONE, "dark", "ko-KR"),
    "desk-light-ko": (DESK, "light", "ko-KR"),
    "desk-dark-en": (DESK, "dark", "en-US"),
}
SLOWDOWN = 6


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("RECON_CHROMIUM", str(executable()))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        film = camera.film(Path(folder) / "film.y4m", camera.obedient(seconds=1.6))
        with _service(Path(folder)) as server, launched(playwright, executable(), film) as browser:
            for name, (size, scheme, locale) in LOOKS.items():
                shots = _shots(browser, server, name, color_scheme=scheme, locale=locale, **size)
                _sheet(shots, columns=4 if size is PHONE else 2).save(
                    FOLDER / f"{name}.jpg", quality=87, optimize=True
                )
                print(f"docs/pictures/capture/{name}.jpg")
            _viewer(browser, server, Path(folder)).save(FOLDER / "viewer.jpg", quality=87, optimize=True)
            print("docs/pictures/capture/viewer.jpg")
            print(f"first paint, processor slowed {SLOWDOWN} times: {_first_paint(browser, server):.0f} ms")


@contextlib.contextmanager
def _service(folder: Path) -> Iterator[Server]:
    server = Server(folder / "state", {"RECON_MODEL": "auto", "RECON_VERIFICATION_SECONDS": "60"}).start()
    try:
        yield server
    finally:
        server.stop()


def _link(server: Server, subject: str) -> str:
    with server.client() as client:
        wish = {"subject_id": subject, "consent_id": "consent-1"}
        return server.url + client.post("/v1/capture-sessions", json=wish).raise_for_status().json()["url"]


def _shots(browser: Any, server: Server, name: str, **context: Any) -> list[bytes]:
    made = browser.new_context(**context)
    page = made.new_page()
    page.goto(_link(server, name))
    page.wait_for_selector("body[data-ready]")
    page.wait_for_timeout(500)
    shots = [page.screenshot()]
    page.click("#start")
    page.wait_for_selector("#stage[data-hint=turnRight]")
    page.wait_for_timeout(250)
    shots.append(page.screenshot())
    held: list[Any] = []
    # The enrollment is over sooner than a picture is taken.
    page.route("**/v1/capture", lambda route: held.append(route))
    page.wait_for_selector("#working:not([hidden])")
    page.wait_for_timeout(900)
    shots.append(page.screenshot())
    page.route("**/v1/capture", lambda route: route.continue_())
    for route in held:
        route.continue_()
    page.wait_for_selector("#mesh[data-ready]")
    page.wait_for_timeout(3000)
    shots.append(page.screenshot())
    made.close()
    return shots


def _sheet(shots: list[bytes], *, columns: int) -> PillowImage.Image:
    pictures = [np.asarray(PillowImage.open(io.BytesIO(shot)).convert("RGB")) for shot in shots]
    rows = [np.hstack(pictures[k : k + columns]) for k in range(0, len(pictures), columns)]
    sheet = PillowImage.fromarray(np.vstack(rows))
    return sheet.resize((1600, round(sheet.height * 1600 / sheet.width)), PillowImage.Resampling.LANCZOS)


def _viewer(browser: Any, server: Server, folder: Path) -> PillowImage.Image:
    """The viewer with a template of five kept selfies and a simulated depth capture of the same person."""
    population = SyntheticPopulation(PopulationSpec(seed=SEED, subjects=8, width=600, height=800))
    frame = population.subject(1).visit(Stereo(), 0, 1)[0]
    depth = folder / "depth.png"
    PillowImage.fromarray(np.round(10 * frame.depth).astype(np.uint16)).save(depth)
    lens = frame.camera
    intrinsics = {
        **{name: getattr(lens, name) for name in ("width", "height", "fx", "fy", "cx", "cy")},
        "millimetres_per_unit": 0.1,
        "camera": frame.camera_name,
    }
    with server.client() as client:
        selfies = [camera.file_of(1, pose).read_bytes() for pose in camera.POSES]
        enroll(client, "user-8c41", *selfies, keep_selfies="true")
    made = browser.new_context(viewport={"width": 1240, "height": 1000})
    page = made.new_page()
    page.set_default_timeout(90_000)
    page.goto(f"{server.url}/viewer")
    page.fill("#key", server.key)
    page.fill("#subject", "user-8c41")
    page.click("#ask button")
    page.wait_for_selector("#mesh[data-ready]")
    page.click("#selfies")
    page.wait_for_selector("input[value=residual]:checked")
    page.set_input_files("#depth", str(depth))
    page.fill("#intrinsics", json.dumps(intrinsics))
    page.click("#capture button")
    page.wait_for_selector("input[value=distance]:checked")
    page.wait_for_timeout(1500)
    picture = PillowImage.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    made.close()
    return picture


def _first_paint(browser: Any, server: Server) -> float:
    """Milliseconds to the first contentful paint; the median of five first visits."""
    found = []
    for number in range(5):
        made = browser.new_context(viewport={"width": 390, "height": 844})
        page = made.new_page()
        made.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        page.goto(_link(server, f"paint-{number}"))
        page.wait_for_selector("body[data-ready]")
        entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        found.append(float(page.evaluate(entry)))
        made.close()
    return sorted(found)[2]


if __name__ == "__main__":
    main()
