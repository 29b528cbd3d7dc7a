"""Infrared and gray pictures as images."""

from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.imaging import image_from_gray
from tests.images import portrait

GRAY = portrait("astronaut")[..., 0]


def test_the_range_is_stretched_and_the_channels_are_equal() -> None:
    image = image_from_gray(GRAY, focal_35mm=35.0)
    assert (image.pixels[..., 0] == image.pixels[..., 2]).all()
    assert image.pixels.min() == 0
    assert image.pixels.max() == 255
    assert image.focal_35mm == 35.0


@pytest.mark.parametrize("gain", [3, 100, 250])
def test_the_gain_of_the_sensor_does_not_matter(gain: int) -> None:
    one, other = image_from_gray(GRAY), image_from_gray(GRAY.astype(np.uint16) * gain)
    assert np.abs(one.pixels.astype(int) - other.pixels).max() <= 1


def test_brighter_stays_brighter() -> None:
    ramp = np.tile(np.arange(0, 65536, 64, dtype=np.uint16), (200, 1))
    row = image_from_gray(ramp).pixels[0, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    # The square root lifts the dark half.
    assert row[256] > 120
    assert image_from_gray(ramp, infrared=False).pixels[0, 256, 0] < 70


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((4, 4), np.float32),
        np.zeros((0, 4), np.uint8),
        np.full((9, 9), 7, np.uint16),
    ],
)
def test_wrong_pictures_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(InvalidValue):
        image_from_gray(wrong)
