from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.evaluation.detectors.jitter import jitter
from recon_service.networks.onnx_runtime import Device

POINTS = np.array([[120.0, 100], [180, 100], [150, 130], [130, 160], [170, 160]])
BOX = (100.0, 70.0, 200.0, 190.0)


class Spots:
    """Finds five bright spots as exactly as their centers of gravity tell, then errs on purpose."""

    name, device = "spots", Device.CPU

    def __init__(self, *, error: float = 0.0, blind: bool = False) -> None:
        self._error, self._blind, self._rng = error, blind, np.random.default_rng(0)

    def detect(self, image: Image) -> tuple[DetectedFace, ...]:
        if self._blind:
            return ()
        light = image.pixels[..., 0].astype(float)
        light[light < 60] = 0
        y, x = np.mgrid[: image.height, : image.width]
        found = []
        for px, py in POINTS:
            near = light * ((x - px) ** 2 + (y - py) ** 2 < 14**2)
            found.append([(near * x).sum() / near.sum(), (near * y).sum() / near.sum()])
        points = np.array(found) + self._error * self._rng.normal(size=(5, 2))
        middle = points.mean(axis=0)
        box = (middle[0] - 50, middle[1] - 60, middle[0] + 50, middle[1] + 60)
        return (DetectedFace(box, 0.9, points, "five"),)

    def detect_batch(self, images: Sequence[Image]) -> tuple[tuple[DetectedFace, ...], ...]:
        return tuple(self.detect(image) for image in images)


@pytest.fixture
def picture() -> Image:
    y, x = np.mgrid[:260, :300]
    light = np.zeros((260, 300))
    for px, py in POINTS:
        light = np.maximum(light, 220 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 2.5**2)))
    return Image(pixels=np.repeat(light[..., None], 3, axis=2).astype(np.uint8))


def test_an_exact_detector_does_not_tremble_though_the_crops_move(picture: Image) -> None:
    detector = Spots()
    found = jitter(detector, picture, detector.detect(picture)[0], seed=1)
    assert found.crop is not None
    assert found.noise is not None
    # A hundredth of the distance of the eyes is half a pixel here.
    assert found.crop < 0.004
    assert found.noise < 0.004


def test_the_error_of_a_detector_is_measured(picture: Image) -> None:
    detector = Spots(error=1.5)
    values = [jitter(detector, picture, Spots().detect(picture)[0], seed=seed).crop_all for seed in range(12)]
    # The mean of six views lies among them: the spread is sqrt(5/6) of the error.
    expected = 1.5 * np.sqrt(2 * 5 / 6) / 60
    assert np.median([value for value in values if value is not None]) == pytest.approx(expected, rel=0.2)


def test_a_face_that_is_lost_has_no_jitter(picture: Image) -> None:
    found = jitter(Spots(blind=True), picture, Spots().detect(picture)[0], seed=0)
    assert (found.crop, found.noise, found.crop_all) == (None, None, None)


def test_the_same_seed_gives_the_same_views(picture: Image) -> None:
    detector = Spots()
    face = detector.detect(picture)[0]
    assert jitter(detector, picture, face, seed=3) == jitter(detector, picture, face, seed=3)
