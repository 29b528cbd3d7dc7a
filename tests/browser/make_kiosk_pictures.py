"""Draws docs/pictures/kiosk: the kiosk's page in its states, upright and lying, light and dark, in both
languages.

`python -m tests.browser.make_kiosk_pictures`. Korean needs a Korean font on this machine. Whom it shows
does not exist.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from playwright.sync_api import sync_playwright

from recon_service.kiosk.cameras.simulated import as_camera_frame
from recon_service.kiosk.guidance import Advice
from recon_service.kiosk.screen import Screen
from recon_service.kiosk.screen.state import Shown
from recon_service.kiosk.seen_face import on_this_device
from recon_service.kiosk.visit import Moment, VisitResult
from recon_service.simulation import KIOSK_CAMERA, StructuredLight
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation
from tests.browser.conftest import executable
from tests.kiosk_devices import uncropped

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "kiosk"
LOOKS = {
    "portrait": ((1080, 1920), (("ko", "dark"), ("en", "light")), 300),
    "landscape": ((1024, 600), (("en", "dark"), ("ko", "light")), 400),
}


def states(shown: Shown) -> dict[str, Callable[[], None]]:
    """What the page goes through, by name."""
    subject = SyntheticPopulation(PopulationSpec(seed=5, subjects=2)).subject(1)
    frame = as_camera_frame(
        uncropped(subject.visit(StructuredLight(), 0, 1, images=True)[0], KIOSK_CAMERA), 0
    )
    face = on_this_device().find(frame)
    assert face is not None
    far = replace(face, center=face.center * 1.8)
    return {
        "idle": lambda: shown.show(stage="idle"),
        "closer": lambda: shown.moment(Moment("guiding", Advice.COME_CLOSER, 0.0, frame, far)),
        "turn": lambda: shown.moment(Moment("guiding", Advice.TURN_LEFT, 0.0, frame, face)),
        "good": lambda: shown.moment(Moment("guiding", Advice.GOOD, 0.6, frame, face)),
        "match": lambda: shown.result(VisitResult("MATCH")),
        "unsure": lambda: shown.result(VisitResult("INCONCLUSIVE")),
        "no-match": lambda: shown.result(VisitResult("NO_MATCH")),
        "offline": lambda: shown.show(stage="trouble", code="offline-refused"),
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    shown = Shown()
    screen = Screen(shown, lambda subject: {}, lambda: None)
    steps = states(shown)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(executable()), args=["--no-sandbox"])
        for name, (size, looks, across) in LOOKS.items():
            rows = []
            for language, scheme in looks:
                context = browser.new_context(
                    viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
                )
                page = context.new_page()
                page.goto(f"{screen.url}?lang={language}")
                pictures = []
                for step in steps.values():
                    for _ in range(2):  # advice stays for half a second before the next is shown
                        step()
                        time.sleep(0.7)
                    with PillowImage.open(io.BytesIO(page.screenshot())) as picture:
                        small = picture.convert("RGB").resize((across, round(across * size[1] / size[0])))
                    pictures.append(np.asarray(small))
                half = len(pictures) // 2 if name == "landscape" else len(pictures)
                rows += [
                    np.concatenate(pictures[k : k + half], axis=1) for k in range(0, len(pictures), half)
                ]
                context.close()
            PillowImage.fromarray(np.concatenate(rows)).save(FOLDER / f"{name}.jpg", quality=84)
        browser.close()
    screen.close()


if __name__ == "__main__":
    main()
