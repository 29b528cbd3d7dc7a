"""DECA's crop, landmarks, camera and the meaning of its numbers."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.transform

from tests.heads import flame, landmark_table
from tests.images import portrait
from third_party.deca.camera import to_input
from third_party.deca.crop import crop_of_detection, crop_of_landmarks, sampled
from third_party.deca.flame import rotation
from third_party.deca.landmarks import contour_row, yaw_of
from third_party.deca.layout import named


@pytest.mark.parametrize(
    "box",
    [
        (60.0, 70.0, 190.5, 220.25),
        (-50.0, -20.0, 120.0, 150.0),
        (400.0, 380.0, 560.0, 590.0),
        (600, 600, 700, 720),
    ],
)
def test_the_crop_is_scikit_images_warp(box: tuple[float, float, float, float]) -> None:
    """The similarity that takes three corners of the square to those of the input, by another library."""
    pixels = portrait("astronaut")
    crop = crop_of_detection(box)
    left, top, right, bottom = box
    old = (right - left + bottom - top) / 2
    side = int(old * 1.25)
    x, y = (left + right) / 2, (top + bottom) / 2 + 0.12 * old
    corners = np.array(
        [[x - side / 2, y - side / 2], [x - side / 2, y + side / 2], [x + side / 2, y - side / 2]]
    )
    map_ = skimage.transform.SimilarityTransform.from_estimate(
        corners, np.array([[0, 0], [0, 223], [223, 0]])
    )
    wanted = skimage.transform.warp(pixels / 255.0, map_.inverse, output_shape=(224, 224))
    np.testing.assert_allclose(sampled(pixels, crop).transpose(1, 2, 0), wanted, atol=2e-5)
    np.testing.assert_allclose(crop.to_input(corners), [[0, 0], [0, 223], [223, 0]], atol=1e-9)


def test_the_crop_of_landmarks_is_a_tenth_larger_and_centered() -> None:
    points = np.random.default_rng(0).uniform(100, 200, (68, 2))
    low, high = points.min(axis=0), points.max(axis=0)
    crop = crop_of_landmarks(points)
    side = int((high - low).mean() * 1.1 * 1.25)
    assert crop.step * 223 == pytest.approx(side)
    np.testing.assert_allclose(crop.to_image(np.array([[111.5, 111.5]]))[0], (low + high) / 2, atol=1e-9)
    np.testing.assert_allclose(crop.to_image(crop.to_input(points)), points, atol=1e-9)


@pytest.mark.parametrize(
    ("yaw", "row"),
    [
        (0, 0),
        (0.4, 0),
        (-0.4, 0),
        (12.6, 13),
        (39, 39),
        (80, 39),
        (-1, 40),
        (-38.4, 77),
        (-39, 78),
        (-39.2, 78),
        (-90, 78),
    ],
)
def test_the_row_of_the_contour(yaw: float, row: int) -> None:
    assert contour_row(yaw) == row


@pytest.mark.parametrize("degrees", [-70.0, -20.0, 0.0, 35.0, 80.0])
def test_yaw_of_a_turn_about_the_vertical(degrees: float) -> None:
    turn = rotation(np.array([0.0, np.deg2rad(degrees), 0.0]))
    assert yaw_of(turn) == pytest.approx(degrees, abs=1e-5)
    assert yaw_of(rotation(np.array([0, 0, 0.4])) @ turn) == pytest.approx(degrees, abs=1e-5)


def test_landmarks_are_on_the_surface_and_the_contour_moves_with_the_yaw() -> None:
    head = flame()
    table = landmark_table(head.triangles)
    frontal, turned = (table.seen(head.template, head.triangles, yaw) for yaw in (0.0, 25.0))
    np.testing.assert_array_equal(frontal, table.full.on(head.template, head.triangles))
    np.testing.assert_array_equal(frontal[17:], turned[17:])
    assert (np.linalg.norm(frontal[:17] - turned[:17], axis=1) > 1e-4).any()


def test_the_camera_shifts_scales_and_turns_down() -> None:
    points = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.05]])
    seen = to_input(points, 5.0, (0.02, -0.01))
    np.testing.assert_allclose(seen[0], [(0.02 * 5 + 1) * 112, (0.01 * 5 + 1) * 112, 0.0])
    np.testing.assert_allclose(seen[1] - seen[0], [0.1 * 5 * 112, 0, 0], atol=1e-12)
    np.testing.assert_allclose(seen[2] - seen[0], [0, -0.1 * 5 * 112, -0.05 * 5 * 112], atol=1e-12)


def test_every_number_has_one_meaning() -> None:
    code = named(np.arange(236.0))
    assert code.shape[[0, -1]].tolist() == [0, 99]
    assert code.texture[[0, -1]].tolist() == [100, 149]
    assert code.expression[[0, -1]].tolist() == [150, 199]
    assert code.global_rotation.tolist() == [200, 201, 202]
    assert code.jaw.tolist() == [203, 204, 205]
    assert (code.scale, code.offset) == (206.0, (207.0, 208.0))
    assert code.light[0].tolist() == [209, 210, 211]
    assert code.light[8, 2] == 235
    with pytest.raises(ValueError, match="236"):
        named(np.zeros(235))
