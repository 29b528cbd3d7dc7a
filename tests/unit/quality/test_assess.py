"""The gate on real pictures: each fault lowers its own measure, and the right reason is given."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict
from recon_service.imaging import image_from_gray
from recon_service.quality import QualityLimits, assess
from recon_service.quality.components import COMPONENTS
from tests.images import (
    PORTRAITS,
    blurred,
    brightened,
    detector,
    landmarker,
    mirrored,
    portrait,
    resized,
    rotated,
    seen,
)


def report(pixels: np.ndarray) -> QualityReport:
    return assess(*seen(pixels))


def measure(pixels: np.ndarray, name: str) -> QualityMeasure:
    return next(m for m in report(pixels).measures if m.name == name)


def reasons(pixels: np.ndarray) -> list[str]:
    return [m.name for m in report(pixels).reasons]


@pytest.mark.parametrize("name", PORTRAITS)
def test_both_portraits_are_accepted(name: str) -> None:
    said = report(portrait(name))
    assert said.accepted
    gates = ["face_count", "face_presence", "face_in_frame", "face_size", "sharpness", "exposure"]
    assert [m.name for m in said.measures if not m.advice] == [*gates, "yaw", "pitch", "roll"]
    assert {m.name for m in said.measures if m.component} == set(COMPONENTS)
    for m in said.measures:
        assert 0 <= m.score <= 100
        assert bool(m.hint) == bool(m.code) == (m.verdict is not Verdict.GOOD)


@pytest.mark.parametrize("value", [0, 255])
def test_an_empty_picture_has_no_face(value: int) -> None:
    pixels = np.full((480, 640, 3), value, np.uint8)
    assert reasons(pixels) == ["face_count"]
    assert "No face" in report(pixels).reasons[0].hint


def test_two_people_are_one_too_many() -> None:
    both = np.concatenate(
        [portrait("astronaut")[:300, 80:380], portrait("grace_hopper")[130:430, 120:420]], axis=1
    )
    assert "face_count" in reasons(both)


def test_a_small_face_far_behind_is_only_a_warning() -> None:
    image, faces, landmarks = seen(portrait("grace_hopper"))
    left, top, right, bottom = faces[0].box

    def with_second(share: float) -> QualityMeasure:
        box = (0.0, 0.0, share * (right - left), share * (bottom - top))
        second = DetectedFace(box=box, score=0.6, keypoints=np.zeros((6, 2)))
        return assess(image, (*faces, second), landmarks).measures[0]

    assert with_second(0.1).verdict is Verdict.WARNING
    assert with_second(0.49).verdict is Verdict.WARNING
    assert with_second(0.5).verdict is Verdict.REJECTED
    assert with_second(0.1).score > with_second(0.4).score


@pytest.mark.parametrize("name", PORTRAITS)
def test_blur_lowers_the_sharpness_step_by_step(name: str) -> None:
    eye = measure(portrait(name), "face_size").raw
    raws = [
        measure(blurred(portrait(name), share * eye), "sharpness").raw
        for share in (0.01, 0.025, 0.045, 0.065)
    ]
    assert all(a > b for a, b in pairwise(raws)), raws
    assert measure(portrait(name), "sharpness").verdict is Verdict.GOOD


def test_strong_blur_is_rejected_for_it() -> None:
    assert "sharpness" in reasons(blurred(portrait("grace_hopper"), 6.5))


@pytest.mark.parametrize("scale", [0.6, 2.0, 3.0])
def test_sharpness_and_exposure_do_not_depend_on_the_size_of_the_face(scale: float) -> None:
    pixels = portrait("grace_hopper")
    for name, tolerance in (("sharpness", 0.03), ("exposure", 1.5)):
        assert measure(resized(pixels, scale), name).raw == pytest.approx(
            measure(pixels, name).raw, abs=tolerance
        )


@pytest.mark.parametrize("name", PORTRAITS)
def test_darkness_lowers_the_exposure_step_by_step(name: str) -> None:
    said = [measure(brightened(portrait(name), gain), "exposure") for gain in (0.6, 0.3, 0.2, 0.1)]
    assert all(a.score >= b.score for a, b in pairwise(said))
    assert said[-1].verdict is Verdict.REJECTED
    assert "more light" in said[-1].hint


@pytest.mark.parametrize("name", PORTRAITS)
def test_too_much_light_is_rejected_with_the_other_hint(name: str) -> None:
    said = measure(brightened(portrait(name), 2.2), "exposure")
    assert said.verdict is Verdict.REJECTED
    assert "too much light" in said.hint


@pytest.mark.parametrize("name", PORTRAITS)
def test_shrinking_the_picture_shrinks_the_face_size_in_proportion(name: str) -> None:
    whole = measure(portrait(name), "face_size")
    for scale in (0.8, 0.5):
        assert measure(resized(portrait(name), scale), "face_size").raw == pytest.approx(
            scale * whole.raw, rel=0.06
        )
    small = report(resized(portrait(name), 24 / whole.raw))
    assert [m.name for m in small.reasons] == ["face_size"]
    assert small.reasons[0].hint == "Come closer to the camera."


@pytest.mark.parametrize("name", PORTRAITS)
@pytest.mark.parametrize("degrees", [-30, -10, 15, 40])
def test_turning_the_picture_changes_the_roll_by_that_angle_and_nothing_else(
    name: str, degrees: float
) -> None:
    pixels = portrait(name)
    turned = rotated(pixels, degrees)
    assert measure(turned, "roll").raw - measure(pixels, "roll").raw == pytest.approx(degrees, abs=2.0)
    assert measure(turned, "yaw").raw == pytest.approx(measure(pixels, "yaw").raw, abs=4.0)
    assert measure(turned, "pitch").raw == pytest.approx(measure(pixels, "pitch").raw, abs=4.0)


def test_a_face_cut_off_by_the_border_is_noticed() -> None:
    pixels = portrait("grace_hopper")
    cut = np.ascontiguousarray(pixels[:, 250:])
    said = measure(cut, "face_in_frame")
    assert said.raw < 0.9
    assert said.verdict is Verdict.REJECTED
    assert measure(pixels, "face_in_frame").raw == 1.0


def test_landmarks_without_a_face_are_rejected_as_such() -> None:
    image, faces, landmarks = seen(portrait("astronaut"))
    assert landmarks is not None
    assert [m.name for m in assess(image, faces, replace(landmarks, presence=0.2)).reasons] == [
        "face_presence"
    ]
    assert [m.name for m in assess(image, faces, None).reasons] == ["face_presence"]


def test_real_infrared_frames_pass_and_their_yaw_follows_the_pose(cases: Path) -> None:
    limits = QualityLimits(min_eye_distance_px=15, good_eye_distance_px=20)
    yaws: dict[int, list[float]] = {}
    for subject in range(11):
        for frame in range(2, 54, 6):
            path = cases / "kinect2_dev" / f"s{subject:02d}" / f"{frame:02d}_ir.png"
            image = image_from_gray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
            faces = detector().detect(image)
            said = assess(image, faces, landmarker().landmarks(image, faces[0]), limits=limits)
            assert said.accepted, (path.name, said.reasons)
            yaws.setdefault(frame // 6 % 3, []).append(next(m.raw for m in said.measures if m.name == "yaw"))
            # The mirror image turns to the other side.
            if frame == 14:
                other = Image(pixels=mirrored(image.pixels))
                opposite = assess(
                    other, (f := detector().detect(other)), landmarker().landmarks(other, f[0]), limits=limits
                )
                value = next(m.raw for m in opposite.measures if m.name == "yaw")
                assert value == pytest.approx(-yaws[frame // 6 % 3][-1], abs=6.0)
    # Poses come in threes: to one side, straight, to the other side.
    assert np.median(yaws[0]) < -10 < np.median(yaws[1]) < 10 < np.median(yaws[2])
