"""What every face detector must do; a new one is added to ``DETECTORS``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from recon_service.detection.detector import FaceDetector
from recon_service.domain.images import Image
from tests.images import PORTRAITS, detector, mirrored, placed, portrait, resized

DETECTORS: dict[str, Callable[[], FaceDetector]] = {"mediapipe-short-range": detector}


@pytest.fixture(params=sorted(DETECTORS))
def subject(request: pytest.FixtureRequest) -> FaceDetector:
    return DETECTORS[request.param]()


def center(box: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([box[0] + box[2], box[1] + box[3]]) / 2


def test_it_is_named_as_it_is_registered(subject: FaceDetector) -> None:
    assert DETECTORS[subject.name]() is subject


@pytest.mark.parametrize("name", PORTRAITS)
def test_one_face_in_each_portrait_with_its_keypoints_inside(subject: FaceDetector, name: str) -> None:
    (face,) = subject.detect(Image(pixels=portrait(name)))
    assert face.score > 0.8
    left, top, right, bottom = face.box
    eyes = face.keypoints[:2]
    assert ((eyes > [left, top]) & (eyes < [right, bottom])).all()
    # The subject's right eye is on the left of the picture.
    assert eyes[0, 0] < eyes[1, 0]


@pytest.mark.parametrize("value", [0, 128, 255])
def test_no_face_in_an_empty_picture(subject: FaceDetector, value: int) -> None:
    assert subject.detect(Image(pixels=np.full((480, 640, 3), value, np.uint8))) == ()


def test_no_face_in_noise(subject: FaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    assert subject.detect(Image(pixels=noise)) == ()


def test_two_faces_come_best_first(subject: FaceDetector) -> None:
    both = np.concatenate(
        [portrait("astronaut")[:300, 80:380], portrait("grace_hopper")[130:430, 120:420]], axis=1
    )
    faces = subject.detect(Image(pixels=both))
    assert len(faces) == 2
    assert faces[0].score >= faces[1].score
    assert sorted(int(center(f.box)[0] > 300) for f in faces) == [0, 1]


def test_the_box_moves_with_the_face(subject: FaceDetector) -> None:
    pixels = portrait("astronaut")[:320, 60:380]
    boxes = []
    for left, top in ((0, 0), (150, 40), (40, 160)):
        (face,) = subject.detect(Image(pixels=placed(pixels, width=480, height=480, left=left, top=top)))
        boxes.append(np.array(face.box) - [left, top, left, top])
    size = boxes[0][2] - boxes[0][0]
    assert np.ptp(np.array(boxes), axis=0).max() < 0.15 * size


def test_the_mirrored_face_is_found_at_the_mirrored_place(subject: FaceDetector) -> None:
    pixels = portrait("grace_hopper")
    (face,), (other,) = subject.detect(Image(pixels=pixels)), subject.detect(Image(pixels=mirrored(pixels)))
    assert center(other.box)[0] == pytest.approx(pixels.shape[1] - center(face.box)[0], abs=0.06 * face.width)


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
def test_the_box_grows_with_the_picture(subject: FaceDetector, scale: float) -> None:
    pixels = portrait("grace_hopper")
    (face,), (other,) = (
        subject.detect(Image(pixels=pixels)),
        subject.detect(Image(pixels=resized(pixels, scale))),
    )
    assert other.width == pytest.approx(scale * face.width, rel=0.1)


def test_the_picture_is_left_as_it_was_and_answers_repeat(subject: FaceDetector) -> None:
    pixels = portrait("astronaut").copy()
    image = Image(pixels=pixels)
    first, second = subject.detect(image), subject.detect(image)
    np.testing.assert_array_equal(pixels, portrait("astronaut"))
    assert first[0].box == second[0].box


def test_several_threads_get_the_answers_of_one(subject: FaceDetector) -> None:
    images = [Image(pixels=portrait(name)) for name in PORTRAITS] * 8
    alone = [subject.detect(image)[0].box for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: subject.detect(image)[0].box, images))
    assert together == alone


def test_smallest_picture(subject: FaceDetector) -> None:
    assert subject.detect(Image(pixels=np.zeros((1, 1, 3), np.uint8))) == ()
