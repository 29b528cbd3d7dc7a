"""Neighborhoods at half the resolution are those of the whole picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon_service.matching.neighborhood import blurred_half, doubled


@pytest.mark.parametrize("shape", [(61, 83), (60, 84), (61, 84)])
@pytest.mark.parametrize("sd", [4.0, 5.0, 6.65])
def test_blurred_half_is_every_second_pixel_of_the_blurred_picture(shape: tuple[int, int], sd: float) -> None:
    picture = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    whole = cv2.GaussianBlur(picture, (0, 0), sd)
    half = blurred_half(picture, sd)
    assert half.shape == ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
    margin = int(1.5 * sd)  # the borders of the two are mirrored about different pixels
    off = (half - whole[::2, ::2])[margin:-margin, margin:-margin]
    assert np.abs(off).max() < 0.06 * whole.std()


def test_a_flat_picture_stays_flat() -> None:
    np.testing.assert_allclose(blurred_half(np.full((31, 40), 7.0, np.float32), 5.0), 7.0, rtol=1e-5)


@pytest.mark.parametrize("shape", [(7, 9), (8, 9), (7, 10), (8, 10), (1, 3)])
@pytest.mark.parametrize("channels", [(), (2,), (3,)])
def test_doubling_a_plane_gives_the_plane(shape: tuple[int, int], channels: tuple[int, ...]) -> None:
    """Every second pixel stays as it is; between two lies their mean; past the last one it stays."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    plane = 3 * rows - 2 * columns + 1
    plane = plane if not channels else np.stack([plane * (k + 1) for k in range(channels[0])], axis=2)
    found = doubled(plane[::2, ::2], shape)
    assert found.shape == plane.shape
    inner = tuple(slice(0, n - 1 + n % 2) for n in shape)
    np.testing.assert_allclose(found[inner], plane[inner], atol=1e-4)
    np.testing.assert_array_equal(found[-1], found[-2] if shape[0] % 2 == 0 else found[-1])
