"""The viewer, as operations meet it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from recon_service.assembly import ModelChoice, load_model
from recon_service.domain.pose import HeadPose
from recon_service.simulation import Stereo, simulate_capture
from recon_service.simulation.capture import KIOSK_CAMERA
from tests.browser import camera
from tests.integration.running import Server, enroll

pytestmark = pytest.mark.xdist_group("browser")

CAMERA = {
    "width": KIOSK_CAMERA.width,
    "height": KIOSK_CAMERA.height,
    "fx": KIOSK_CAMERA.fx,
    "fy": KIOSK_CAMERA.fy,
    "cx": KIOSK_CAMERA.cx,
    "cy": KIOSK_CAMERA.cy,
}


def depth_png() -> bytes:
    """The mean head before a simulated stereo camera, whole millimeters."""
    model = load_model(ModelChoice.BUILTIN)
    pose = HeadPose.from_angles(yaw=4.0, pitch=-2.0, roll=1.0, translation=np.array([0.0, 0.0, 560.0]))
    head = model.mesh(np.zeros(model.identity_modes))
    frame = simulate_capture(head, KIOSK_CAMERA, pose, Stereo(), np.random.default_rng(5))
    buffer = io.BytesIO()
    PillowImage.fromarray(np.round(frame.depth).astype(np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_viewer_shows_shape_certainty_selfies_and_a_depth_capture(
    obedient: Any, server: Server, tmp_path: Path
) -> None:
    with server.client() as client:
        pictures = [camera.file_of(1, pose).read_bytes() for pose in ("front", "left", "right")]
        assert enroll(client, "viewed", *pictures, keep_selfies="true")["state"] == "succeeded"
    depth = tmp_path / "depth.png"
    depth.write_bytes(depth_png())
    context = obedient.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda fault: complaints.append(str(fault)))
        page.on("console", lambda m: complaints.append(m.text) if "Content Security" in m.text else None)
        page.set_default_timeout(40_000)
        page.goto(f"{server.url}/viewer")
        page.fill("#key", "recon_wrong_key")
        page.fill("#subject", "viewed")
        page.click("#ask button")
        page.wait_for_selector("#banner:not([hidden])")
        page.fill("#key", server.key)
        page.click("#ask button")
        page.wait_for_selector("#mesh[data-ready]")
        assert page.locator("#regions tr").count() == 8
        page.check("input[value=width]")
        assert page.inner_text("#low") == "0 mm"
        page.click("#selfies")
        page.wait_for_selector("input[value=residual]:checked")
        assert page.locator("#overlays img").count() == 3
        page.set_input_files("#depth", str(depth))
        page.fill("#intrinsics", json.dumps(CAMERA))
        page.click("#capture button")
        page.wait_for_selector("input[value=distance]:checked")
        assert page.inner_text("#decision") in ("MATCH", "NO_MATCH", "INCONCLUSIVE", "PRESENTATION_ATTACK")
        assert page.inner_text("#low").startswith("-")
        assert complaints == []
    finally:
        context.close()
    log = server.command("audit", "show", "--json").stdout
    assert log.count("template.inspected") >= 3
