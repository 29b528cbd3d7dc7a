from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.alignment.five_points import TEMPLATE, align, five_point_similarity
from recon_service.alignment.similarity import inverse, scale_of, similarity
from recon_service.domain.errors import InvalidValue
from recon_service.domain.images import Image
from tests.images import mirrored, portrait

FINITE = st.floats(-500, 500)


def moved(points: np.ndarray, scale: float, angle: float, x: float, y: float) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return points @ np.array([[c, -s], [s, c]]).T + [x, y]


@given(st.floats(0.05, 20), st.floats(-np.pi, np.pi), FINITE, FINITE)
def test_a_moved_template_comes_back_exactly(scale: float, angle: float, x: float, y: float) -> None:
    points = moved(TEMPLATE, scale, angle, x, y)
    found = five_point_similarity(points)
    np.testing.assert_allclose(points @ found[:, :2].T + found[:, 2], TEMPLATE, atol=1e-6)
    assert scale_of(found) == pytest.approx(1 / scale)


@given(st.integers(0, 2**32 - 1))
def test_no_other_similarity_is_nearer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, 6, 2))
    weights = rng.uniform(0.1, 2, 6)
    found = similarity(source, target, weights=weights)

    def cost(affine: np.ndarray) -> float:
        return float(weights @ ((source @ affine[:, :2].T + affine[:, 2] - target) ** 2).sum(axis=1))

    for _ in range(8):
        a, b, x, y = rng.normal(scale=0.05, size=4)
        other = found + np.array([[a, -b, x], [b, a, y]])
        assert cost(other) >= cost(found) - 1e-12
    # Never a mirror image.
    assert np.linalg.det(found[:, :2]) >= 0


def test_the_inverse_undoes() -> None:
    affine = five_point_similarity(moved(TEMPLATE, 3.0, 0.4, 10, -5))
    both = affine[:, :2] @ inverse(affine)
    both[:, 2] += affine[:, 2]
    np.testing.assert_allclose(both, np.eye(2, 3), atol=1e-9)


@pytest.mark.parametrize("size", [112, 224])
@pytest.mark.parametrize("scale", [0.7, 2.0, 5.3])
def test_what_was_drawn_at_the_points_is_found_at_the_template(size: int, scale: float) -> None:
    canvas = np.zeros((900, 900, 3), np.uint8)
    points = moved(TEMPLATE, scale, 0.3, 200, 120)
    y, x = np.mgrid[:900, :900]
    for px, py in points:
        spot = 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (3 * scale) ** 2))
        canvas = np.maximum(canvas, spot[..., None].astype(np.uint8))
    shown = align(Image(pixels=canvas), points, size).pixels[..., 0].astype(float)
    assert shown.shape == (size, size)
    for tx, ty in TEMPLATE * (size / 112):
        left, top, reach = round(tx), round(ty), round(6 * size / 112)
        part = shown[top - reach : top + reach + 1, left - reach : left + reach + 1]
        v, u = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        found = np.array([(part * u).sum(), (part * v).sum()]) / part.sum()
        np.testing.assert_allclose(found, [tx - left, ty - top], atol=0.25)


def test_the_aligned_portrait_does_not_depend_on_where_and_how_large_the_face_was() -> None:
    pixels = portrait("grace_hopper")
    points = np.array([[224.0, 220], [293, 217], [259, 262], [233, 302], [291, 300]])
    once = align(Image(pixels=pixels), points).pixels.astype(float)
    turn = cv2.getRotationMatrix2D((256, 300), 20, 0.9)
    turned = cv2.warpAffine(pixels, turn, (512, 600))
    again = align(Image(pixels=turned), points @ turn[:, :2].T + turn[:, 2]).pixels.astype(float)
    assert np.abs(once - again)[8:-8, 8:-8].mean() < 4.0
    wrong = align(Image(pixels=mirrored(pixels)), points).pixels.astype(float)
    assert np.abs(once - wrong).mean() > 15.0


def test_beyond_the_image_is_black() -> None:
    white = Image(pixels=np.full((60, 60, 3), 255, np.uint8))
    shown = align(white, TEMPLATE - [56, 0]).pixels
    assert (shown[:, :50] == 0).all()
    assert (shown[5:50, 60:110] == 255).all()


@pytest.mark.parametrize(
    "points", [np.zeros((4, 2)), np.full((5, 2), np.nan), np.full((5, 2), 7.0), np.zeros((5, 3))]
)
def test_points_that_say_nothing_are_refused(points: np.ndarray) -> None:
    with pytest.raises(InvalidValue):
        align(Image(pixels=np.zeros((40, 40, 3), np.uint8)), points)
