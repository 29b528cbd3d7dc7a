"""YOLOv5-face against a second implementation: letterbox, decoder and suppression of the package
yolov5facedetector 1.0.2 (in torch), fed by the same network file, on the two portraits, recorded once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.domain.images import Image
from tests.detectors import detector
from tests.images import portrait

RECORDED = {
    "astronaut": (
        0.87816,
        [175.90, 53.15, 274.93, 180.39],
        [[204.12, 100.85], [247.16, 103.90], [223.91, 127.67], [201.23, 138.47], [245.96, 141.15]],
    ),
    "grace_hopper": (
        0.88710,
        [169.59, 112.73, 359.92, 336.81],
        [[223.35, 193.13], [304.90, 190.63], [266.74, 242.54], [235.96, 279.07], [298.84, 276.97]],
    ),
}


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_box_points_and_score_are_the_same(weights_mirror: Path, name: str) -> None:
    score, box, points = RECORDED[name]
    (face,) = detector("yolov5_face").detect(Image(pixels=portrait(name)))
    assert face.score == pytest.approx(score, abs=1e-4)
    # Numbers of a hundredth of a pixel; the package takes the scale before the rounding of the frame.
    np.testing.assert_allclose(face.box, box, atol=0.05)
    np.testing.assert_allclose(face.keypoints, points, atol=0.05)
