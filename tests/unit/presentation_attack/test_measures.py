"""Each measure on shapes whose answer is known, and on rendered heads against simulated prints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.presentations import expected_landmarks
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.depth.cleaning import clean_depth
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.pose import HeadPose
from recon_service.presentation_attack import assess, face_surface
from recon_service.presentation_attack.face_points import EYES
from recon_service.presentation_attack.frames import least_change
from recon_service.presentation_attack.limits import PresentationLimits
from recon_service.presentation_attack.nose import nose_protrusion
from recon_service.presentation_attack.relief import relief_gain
from recon_service.presentation_attack.sheets import (
    cylinder_residual,
    plane_residual,
    polynomial_residual,
)
from recon_service.presentation_attack.surface import FaceSurface
from recon_service.simulation import KIOSK_CAMERA, sample_head, simulate_capture
from recon_service.simulation.prints import SPECIES, simulate_print
from recon_service.simulation.sensors import DepthSensor, Stereo, StructuredLight, TimeOfFlight

CENTER = np.array([0.0, 0.0, 500.0])
SENSORS: tuple[DepthSensor, ...] = (TimeOfFlight(), Stereo(), StructuredLight())


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return build_pipeline(ModelChoice.BUILTIN, appearance="off")


def standing(yaw: float = 0.0) -> HeadPose:
    return HeadPose.from_angles(yaw=yaw, pitch=0.0, roll=0.0, translation=np.array([0.0, 0.0, 590.0]))


def landmarks_at(pose: HeadPose, pipeline: FacePipeline) -> FaceLandmarks:
    found = expected_landmarks(pose, KIOSK_CAMERA, pipeline)
    assert found is not None
    return found


def surface(frame: DepthFrame, landmarks: FaceLandmarks) -> FaceSurface:
    return face_surface(frame.depth, clean_depth(frame.depth), frame.camera, landmarks)


def a_head(pipeline: FacePipeline, seed: int, sensor: DepthSensor, yaw: float = 0.0) -> DepthFrame:
    rng = np.random.default_rng(seed)
    head = sample_head(pipeline.model, rng).surface()
    return simulate_capture(head, KIOSK_CAMERA, standing(yaw), sensor, rng)


def a_print(name: str, seed: int, sensor: DepthSensor, landmarks: FaceLandmarks) -> DepthFrame:
    shown = DepthFrame(np.zeros((480, 640)), KIOSK_CAMERA, sensor.name, None)
    eyes = np.stack([landmarks.points[list(corners)].mean(axis=0) for corners in EYES])
    return simulate_print(SPECIES[name], shown, CENTER, eyes, sensor, np.random.default_rng(seed))


def sheet(z: np.ndarray) -> np.ndarray:
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-60, 60, 30), np.linspace(-80, 80, 40)))
    points = np.stack([x, y, z(x, y)], axis=1)
    return np.asarray(points - points.mean(axis=0))


def test_residuals_are_zero_for_the_sheets_that_they_are_from() -> None:
    flat = sheet(lambda x, y: 0.1 * x - 0.2 * y)
    rolled = sheet(lambda x, y: -((x + y) ** 2) / 400)
    formed = sheet(lambda x, y: -(x**2) / 300 - y**2 / 500)
    assert plane_residual(sheet(lambda x, y: 0 * x)) == pytest.approx(0.0, abs=1e-9)
    assert cylinder_residual(flat) < 1e-6
    assert cylinder_residual(rolled) < 0.3  # linear between knots
    assert cylinder_residual(formed) > 2.0
    assert polynomial_residual(formed, 2) < 1e-6
    assert polynomial_residual(rolled, 1) > 2.0


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0, 2 * np.pi))
def test_freer_sheets_are_never_farther_and_no_residual_depends_on_a_turn(seed: int, turn: float) -> None:
    rng = np.random.default_rng(seed)
    points = sheet(lambda x, y: rng.normal(size=x.shape) * 3 - x**2 / 200)
    assert plane_residual(points) >= polynomial_residual(points, 2) >= polynomial_residual(points, 4)
    c, s = np.cos(turn), np.sin(turn)
    turned = points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
    assert polynomial_residual(turned, 2) == pytest.approx(polynomial_residual(points, 2), rel=1e-6)


@pytest.mark.parametrize("sensor", SENSORS, ids=lambda sensor: sensor.name)
@pytest.mark.parametrize("yaw", [0.0, 20.0])
def test_heads_pass(pipeline: FacePipeline, sensor: DepthSensor, yaw: float) -> None:
    landmarks = landmarks_at(standing(yaw), pipeline)
    for seed in range(2):
        result = assess([surface(a_head(pipeline, seed, sensor, yaw), landmarks)])
        assert not result.attack, [(m.name, m.value) for m in result.measures if m.bona_fide < 0.5]
        assert result.reasons == ()
        assert {m.name for m in result.measures} >= {"screen", "plane", "cylinder", "nose", "relief"}


@pytest.mark.parametrize("sensor", SENSORS, ids=lambda sensor: sensor.name)
@pytest.mark.parametrize("name", SPECIES)
def test_prints_and_screens_do_not(pipeline: FacePipeline, name: str, sensor: DepthSensor) -> None:
    landmarks = landmarks_at(standing(), pipeline)
    for seed in range(2):
        result = assess([surface(a_print(name, seed, sensor, landmarks), landmarks)])
        assert result.attack
        assert all(code.startswith("presentation-") and hint for code, hint in result.reasons)


def test_the_nose_of_a_head_stands_out_and_that_of_a_print_does_not(pipeline: FacePipeline) -> None:
    landmarks = landmarks_at(standing(), pipeline)
    head = nose_protrusion(surface(a_head(pipeline, 0, StructuredLight()), landmarks))
    flat = nose_protrusion(surface(a_print("flat-print", 0, StructuredLight(), landmarks), landmarks))
    assert head is not None
    assert flat is not None
    assert head > 18.0 > 3.0 > flat


def test_relief_changes_its_sign_with_a_face_from_behind(pipeline: FacePipeline) -> None:
    landmarks = landmarks_at(standing(), pipeline)
    frame = a_head(pipeline, 0, StructuredLight())
    hollow = np.where(frame.depth > 0, 1100.0 - frame.depth, 0.0)
    straight = relief_gain(surface(frame, landmarks))
    turned = relief_gain(surface(DepthFrame(hollow, KIOSK_CAMERA, "x", None), landmarks))
    assert straight is not None
    assert turned is not None
    assert straight > 0.5
    assert turned < 0


def test_a_frame_played_twice_is_a_replay_and_two_of_a_sensor_are_not(pipeline: FacePipeline) -> None:
    landmarks = landmarks_at(standing(), pipeline)
    one, other = (surface(a_head(pipeline, 5, TimeOfFlight(), yaw), landmarks) for yaw in (0.0, 0.5))
    assert least_change([one]) is None
    assert least_change([one, one]) == 0.0
    assert least_change([one, other]) == pytest.approx(1.0, abs=0.05)
    assert "presentation-replay" in dict(assess([one, one]).reasons)
    assert not assess([one, other]).attack


def test_expected_places_are_not_judged_one_by_one(pipeline: FacePipeline) -> None:
    landmarks = landmarks_at(standing(), pipeline)
    face = replace(surface(a_head(pipeline, 0, TimeOfFlight()), landmarks), from_picture=False)
    assert {m.name for m in assess([face]).measures}.isdisjoint({"nose", "relief", "together"})


def test_nothing_seen_is_nothing_claimed() -> None:
    result = assess([])
    assert result.bona_fide is None
    assert not result.attack


def test_a_face_outside_the_depth_map_is_refused(pipeline: FacePipeline) -> None:
    landmarks = landmarks_at(standing(), pipeline)
    away = replace(landmarks, points=landmarks.points + 5000)
    with pytest.raises(InvalidValue):
        surface(a_head(pipeline, 0, TimeOfFlight()), away)


def test_limits_are_positive_and_a_half_lies_at_each() -> None:
    limits = PresentationLimits()
    assert limits.bona_fide(3.0, 3.0) == pytest.approx(0.5)
    assert limits.bona_fide(6.0, 3.0) > 0.99 > 0.01 > limits.bona_fide(0.0, 3.0)
    with pytest.raises(InvalidValue):
        PresentationLimits(nose_mm=0.0)
