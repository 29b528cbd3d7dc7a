"""Detection and landmarks against the real MediaPipe's (``make_mediapipe_golden.py`` says how the files are
made).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.domain.images import Image
from tests.images import PORTRAITS, detector, landmarker, portrait

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", PORTRAITS)
def test_detection_and_landmarks_are_mediapipes(name: str) -> None:
    with np.load(HERE / f"mediapipe_facemesh_{name}.npz") as golden:
        landmarks, box, keypoints, score = (golden[k] for k in ("landmarks", "box", "keypoints", "score"))
    image = Image(pixels=portrait(name))
    (face,) = detector().detect(image)
    np.testing.assert_allclose(face.box, box, atol=0.1)
    np.testing.assert_allclose(face.keypoints, keypoints, atol=0.1)
    assert face.score == pytest.approx(float(score), abs=1e-3)
    # One pass: MediaPipe's static mode crops by the detection alone.
    found = landmarker(passes=1).landmarks(image, face)
    assert np.linalg.norm(found.points - landmarks[:, :2], axis=1).max() < 0.2
    assert found.depth is not None
    assert np.abs(found.depth - landmarks[:, 2]).max() < 0.2
    assert found.presence > 0.99
