"""FaceMesh's landmarks follow the face, whatever is done to the picture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest

from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import Image
from recon_service.reconstruction.facemesh.landmarker import (
    INPUT_SIDE,
    FaceCrop,
    crop_of_detection,
    crop_of_landmarks,
)
from tests.images import PORTRAITS, detector, landmarker, mirrored, placed, portrait, resized, rotated, seen

# Pairs of the subject's right and left: eye corners, mouth corners, wings of the nose, temples.
RIGHT = [33, 133, 61, 98, 127]
LEFT = [263, 362, 291, 327, 356]


def found(pixels: np.ndarray) -> FaceLandmarks:
    landmarks = seen(pixels)[2]
    assert landmarks is not None
    return landmarks


def eye_distance(landmarks: FaceLandmarks) -> float:
    return float(np.linalg.norm(landmarks.points[33] - landmarks.points[263]))


def mean_distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other, axis=1).mean())


def test_the_crop_maps_its_center_corners_and_level() -> None:
    crop = FaceCrop(center=(100.0, 50.0), side=96.0, angle=np.pi / 2)
    to_image = crop.to_image()
    np.testing.assert_allclose(to_image @ [INPUT_SIDE / 2, INPUT_SIDE / 2, 1], [100, 50], atol=1e-9)
    # A quarter turn clockwise: the crop's top left corner lies at the top right.
    np.testing.assert_allclose(to_image @ [0, 0, 1], [148, 2], atol=1e-9)
    np.testing.assert_allclose(to_image @ [INPUT_SIDE, 0, 1], [148, 98], atol=1e-9)


def test_the_crop_of_a_detection_is_its_square_and_levels_the_eyes() -> None:
    keypoints = np.array([[0, 0], [10, 10], [5, 8], [5, 12], [-3, 0], [12, 10]], float)
    crop = crop_of_detection(DetectedFace(box=(0, 0, 20, 30), score=0.9, keypoints=keypoints))
    assert crop.center == (10, 15)
    assert crop.side == 45
    assert crop.angle == pytest.approx(np.pi / 4)


@pytest.mark.parametrize("name", PORTRAITS)
@pytest.mark.parametrize("degrees", [-40, -15, 20, 45])
def test_landmarks_turn_with_the_picture(name: str, degrees: float) -> None:
    pixels = portrait(name)
    upright, turned = found(pixels), found(rotated(pixels, degrees))
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    expected = upright.points @ turn[:, :2].T + turn[:, 2]
    assert mean_distance(turned.points, expected) < 0.03 * eye_distance(upright)


@pytest.mark.parametrize("name", PORTRAITS)
@pytest.mark.parametrize("scale", [0.6, 1.7, 3.0, 6.0])
def test_landmarks_scale_with_the_picture(name: str, scale: float) -> None:
    pixels = portrait(name)[:440, 60:460]
    small, large = found(pixels), found(resized(pixels, scale))
    expected = (small.points + 0.5) * scale - 0.5
    assert mean_distance(large.points, expected) < 0.025 * eye_distance(large)
    assert large.depth is not None
    assert small.depth is not None
    assert np.ptp(large.depth) == pytest.approx(scale * np.ptp(small.depth), rel=0.08)


@pytest.mark.parametrize("name", PORTRAITS)
def test_mirroring_swaps_left_and_right(name: str) -> None:
    pixels = portrait(name)
    one, other = found(pixels), found(mirrored(pixels))
    flipped = other.points.copy()
    flipped[:, 0] = pixels.shape[1] - 1 - flipped[:, 0]
    assert mean_distance(one.points[RIGHT], flipped[LEFT]) < 0.04 * eye_distance(one)
    assert mean_distance(one.points[LEFT], flipped[RIGHT]) < 0.04 * eye_distance(one)
    assert (one.points[RIGHT, 0] < one.points[LEFT, 0]).all()


def test_landmarks_move_with_the_picture() -> None:
    pixels = portrait("astronaut")[:300, 60:360]
    one = found(placed(pixels, width=500, height=500, left=20, top=30))
    other = found(placed(pixels, width=500, height=500, left=131, top=177))
    assert mean_distance(one.points + np.array([111, 147]), other.points) < 0.02 * eye_distance(one)


def spread(passes: int, name: str) -> float:
    """Root mean square spread of the landmarks, pixels, when the crop trembles by 3 % and 3 degrees."""
    image = Image(pixels=portrait(name))
    (face,) = detector().detect(image)
    rng = np.random.default_rng(1)
    points = []
    for _ in range(12):
        crop = crop_of_detection(face)
        dx, dy, turn = rng.normal(0, [0.03 * crop.side, 0.03 * crop.side, 0.05])
        crop = replace(crop, center=(crop.center[0] + dx, crop.center[1] + dy), angle=crop.angle + turn)
        landmarks = landmarker().landmarks_in(image, crop)
        for _ in range(passes - 1):
            landmarks = landmarker().landmarks_in(image, crop_of_landmarks(landmarks))
        points.append(landmarks.points)
    return float(np.sqrt(np.var(points, axis=0).sum(axis=1).mean()))


@pytest.mark.parametrize("name", PORTRAITS)
def test_the_second_pass_steadies_the_landmarks(name: str) -> None:
    assert spread(2, name) < 0.7 * spread(1, name)


def test_presence_is_low_where_there_is_no_face() -> None:
    image = Image(pixels=portrait("astronaut"))
    (face,) = detector().detect(image)
    elsewhere = replace(
        face, box=(330.0, 300.0, 430.0, 400.0), keypoints=face.keypoints + np.array([150, 220])
    )
    assert landmarker(passes=1).landmarks(image, elsewhere).presence < 0.1
    assert landmarker(passes=1).landmarks(image, face).presence > 0.99


def test_a_face_beyond_the_border_still_has_landmarks() -> None:
    pixels = np.ascontiguousarray(portrait("grace_hopper")[160:, 190:])
    image, faces, landmarks = seen(pixels)
    assert faces
    assert landmarks is not None
    assert landmarks.presence > 0.5
    assert image.pixels.shape == (440, 322, 3)


def test_a_box_outside_the_picture_gives_low_presence_not_an_error() -> None:
    image = Image(pixels=portrait("astronaut"))
    (face,) = detector().detect(image)
    for shift in (-5000.0, 5000.0):
        left, top, right, bottom = face.box
        away = replace(
            face,
            box=(left + shift, top, right + shift, bottom),
            keypoints=face.keypoints + np.array([shift, 0]),
        )
        assert landmarker(passes=1).landmarks(image, away).presence < 0.5
        big = replace(away, box=(left + shift, top - 900, right + shift + 900, bottom))
        assert landmarker(passes=2).landmarks(image, big).presence < 0.5


def test_several_threads_get_the_answers_of_one() -> None:
    pictures = [seen(portrait(name)) for name in PORTRAITS] * 6
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda p: landmarker().landmarks(p[0], p[1][0]), pictures))
    for (_, _, alone), other in zip(pictures, together, strict=True):
        assert alone is not None
        np.testing.assert_array_equal(alone.points, other.points)


def test_at_least_one_pass() -> None:
    with pytest.raises(ValueError, match="passes"):
        landmarker(passes=0)
