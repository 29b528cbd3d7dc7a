"""What every face detector must do; one that makes itself known in ``detection/`` is tested without a line
here.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from recon_service.application.computing.detectors import detector_kinds
from recon_service.detection.detector import FaceDetector
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.landmark_schemes import LEFT_MOUTH, MOUTH, NOSE, RIGHT_MOUTH, SCHEMES
from recon_service.networks.onnx_runtime import Device
from tests.detectors import WITHOUT_MIRROR, detector
from tests.images import PORTRAITS, mirrored, placed, portrait, resized

REQUIRED = frozenset(
    [
        "mediapipe_simple",
        "mediapipe",
        "yunet",
        "mtcnn",
        "retinaface",
        "yolov5_face",
        "yolov8_face",
        "rtmpose",
        "faceboxes",
    ]
)
NOT_FROM_THE_PICTURE = ("rtmpose",)
"""Their landmarks come from a small network that the tests make, and mean nothing."""


@pytest.fixture(params=sorted(detector_kinds()))
def subject(request: pytest.FixtureRequest) -> FaceDetector:
    if request.param not in WITHOUT_MIRROR:
        request.getfixturevalue("weights_mirror")
    return detector(request.param)


def center(box: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([box[0] + box[2], box[1] + box[3]]) / 2


@functools.cache
def seen(name: str, picture: str) -> tuple[DetectedFace, ...]:
    """What a detector sees in a portrait; most tests compare with it."""
    return detector(name).detect(Image(pixels=portrait(picture)))


def in_portrait(subject: FaceDetector, picture: str) -> DetectedFace:
    return seen(subject.name, picture)[0]


def best(subject: FaceDetector, pixels: np.ndarray) -> DetectedFace:
    faces = subject.detect(Image(pixels=pixels))
    assert faces
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
    return faces[0]


def test_all_that_were_asked_for_are_known() -> None:
    assert detector_kinds().keys() >= REQUIRED


def test_it_is_named_as_it_is_registered(subject: FaceDetector) -> None:
    assert detector(subject.name) is subject
    assert subject.device is Device.CPU


@pytest.mark.parametrize("name", PORTRAITS)
def test_one_face_in_each_portrait_with_its_landmarks_inside(subject: FaceDetector, name: str) -> None:
    (face,) = seen(subject.name, name)
    assert face.score > 0.7
    kind = detector_kinds()[subject.name]
    assert face.scheme == kind.scheme
    scheme = SCHEMES[face.scheme]
    assert face.keypoints.shape == (scheme.count, 2)
    if face.eyes is None:
        assert scheme.count == 0
        return
    left, top, right, bottom = face.box
    eyes, nose = np.stack(face.eyes), scheme.place(face.keypoints, NOSE)
    mouth = scheme.place(face.keypoints, MOUTH)
    assert nose is not None
    assert mouth is not None
    for point in (*eyes, nose, mouth):
        assert left < point[0] < right
        assert top < point[1] < bottom
    # The subject's right is on the left of the picture.
    assert eyes[0, 0] < nose[0] < eyes[1, 0]
    assert eyes[:, 1].max() < nose[1] < mouth[1]
    corners = [scheme.place(face.keypoints, place) for place in (RIGHT_MOUTH, LEFT_MOUTH)]
    if corners[0] is not None and corners[1] is not None:
        assert corners[0][0] < corners[1][0]


@pytest.mark.parametrize("name", PORTRAITS)
def test_its_points_are_those_of_the_others(subject: FaceDetector, name: str) -> None:
    if subject.name in NOT_FROM_THE_PICTURE:
        pytest.skip("its landmarks come from a network of the tests")
    face = in_portrait(subject, name)
    reference = in_portrait(detector("mediapipe"), name)
    assert reference.eyes is not None
    between = np.linalg.norm(np.subtract(*reference.eyes))
    assert np.linalg.norm(center(face.box) - center(reference.box)) < 0.6 * between
    for place in SCHEMES[face.scheme].places:
        there, here = (SCHEMES[f.scheme].place(f.keypoints, place) for f in (reference, face))
        if there is not None and here is not None:
            # The six points of MediaPipe's detector are rough.
            allowed = 0.25 if face.scheme == "mediapipe6" else 0.17
            assert np.linalg.norm(here - there) < allowed * between, place


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
        face = best(subject, placed(pixels, width=480, height=480, left=left, top=top))
        boxes.append(np.array(face.box) - [left, top, left, top])
    size = boxes[0][2] - boxes[0][0]
    assert np.ptp(np.array(boxes), axis=0).max() < 0.15 * size


def test_the_mirrored_face_is_found_at_the_mirrored_place(subject: FaceDetector) -> None:
    pixels = portrait("grace_hopper")
    face, other = in_portrait(subject, "grace_hopper"), best(subject, mirrored(pixels))
    assert center(other.box)[0] == pytest.approx(pixels.shape[1] - center(face.box)[0], abs=0.06 * face.width)
    if face.eyes is not None and other.eyes is not None and subject.name not in NOT_FROM_THE_PICTURE:
        # Right and left are the subject's: in the mirror they change places.
        for here, there in zip(face.eyes, reversed(other.eyes), strict=True):
            np.testing.assert_allclose([pixels.shape[1] - here[0], here[1]], there, atol=0.08 * face.width)


@pytest.mark.parametrize("scale", [0.5, 2.5])
def test_the_box_grows_with_the_picture(subject: FaceDetector, scale: float) -> None:
    pixels = portrait("grace_hopper")
    face, other = in_portrait(subject, "grace_hopper"), best(subject, resized(pixels, scale))
    assert other.width == pytest.approx(scale * face.width, rel=0.15)


def test_red_is_the_first_channel(subject: FaceDetector) -> None:
    """Blue skin is found less surely, if at all."""
    pixels = portrait("astronaut")
    swapped = subject.detect(Image(pixels=np.ascontiguousarray(pixels[..., ::-1])))
    assert not swapped or swapped[0].score <= in_portrait(subject, "astronaut").score + 0.02


def test_the_picture_is_left_as_it_was_and_answers_repeat(subject: FaceDetector) -> None:
    pixels = portrait("astronaut").copy()
    image = Image(pixels=pixels)
    first, second = seen(subject.name, "astronaut"), subject.detect(image)
    np.testing.assert_array_equal(pixels, portrait("astronaut"))
    assert first[0].box == second[0].box
    np.testing.assert_array_equal(first[0].keypoints, second[0].keypoints)


def test_a_batch_says_of_each_what_it_says_alone(subject: FaceDetector) -> None:
    pictures = [
        portrait("astronaut"),
        np.zeros((90, 130, 3), np.uint8),
        portrait("grace_hopper"),
        portrait("grace_hopper")[130:430, 120:420],
    ]
    images = [Image(pixels=np.ascontiguousarray(each)) for each in pictures]
    together = subject.detect_batch(images)
    assert len(together) == len(images)
    for image, faces in zip(images, together, strict=True):
        alone = subject.detect(image)
        assert len(faces) == len(alone)
        for here, there in zip(faces, alone, strict=True):
            np.testing.assert_allclose(here.box, there.box, atol=0.05)
            np.testing.assert_allclose(here.keypoints, there.keypoints, atol=0.05)
    assert subject.detect_batch([]) == ()


def test_several_threads_get_the_answers_of_one(subject: FaceDetector) -> None:
    images = [Image(pixels=portrait(name)) for name in PORTRAITS] * 2
    alone = [in_portrait(subject, name).box for name in PORTRAITS] * 2
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: subject.detect(image)[0].box, images))
    assert together == alone


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (13, 700)])
def test_odd_pictures_have_no_face(subject: FaceDetector, shape: tuple[int, int]) -> None:
    assert subject.detect(Image(pixels=np.zeros((*shape, 3), np.uint8))) == ()
