"""Where the head is, with and without a picture, on recorded people and on known motions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.application.computing.verify import observe
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.depth.cleaning import clean_depth
from recon_service.depth.depth_only_start import pose_from_depth
from recon_service.depth.errors import NoFaceInDepth, TooLittleDepth
from recon_service.depth.landmark_start import lift, pose_from_lifted, procrustes
from recon_service.depth.sensors import noise_of
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose, rotation_from_vector
from recon_service.evaluation.kinect2 import kinect2_subjects
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation
from recon_service.simulation.sensors import DepthSensor, Stereo, StructuredLight, TimeOfFlight
from tests.observations import builtin_model, depth_of_ball, depth_of_plane, landmark_model, pose

CAMERA = PinholeCamera(320, 320, 600.0, 600.0, 159.5, 159.5)


def turn_between(one: HeadPose, other: HeadPose) -> float:
    cosine = (np.trace(one.rotation.T @ other.rotation) - 1) / 2
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))


def test_depth_alone_finds_heads_where_lifted_landmarks_do(cases: Path) -> None:
    """Every fourth frame of each recorded person, within 25 degrees and 30 mm in at least 95 %."""
    parts = build_pipeline(ModelChoice.BUILTIN)
    agreed = []
    for subject in kinect2_subjects(cases / "kinect2_dev"):
        for number in subject.frames()[::4]:
            frame = subject.depth(number)
            assert frame.image is not None
            depth = clean_depth(frame.depth)
            face = parts.detector.detect(frame.image)[0]
            landmarks = parts.landmarker.landmarks(frame.image, face)
            lifted = pose_from_lifted(landmarks, depth, frame.camera, parts.landmark_model)
            assert lifted is not None
            try:
                alone = pose_from_depth(depth, frame.camera, parts.model)
            except NoFaceInDepth:
                agreed.append(False)
                continue
            near = np.linalg.norm(alone.translation - lifted.translation) < 30.0
            agreed.append(near and turn_between(alone, lifted) < 25.0)
    assert len(agreed) > 100
    assert np.mean(agreed) >= 0.95


def test_procrustes_finds_a_known_motion_and_ignores_points_without_weight() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(0, 50, (20, 3))
    known = HeadPose(rotation_from_vector(rng.standard_normal(3)), rng.normal(0, 300, 3))
    target, weight = known.apply(source), np.ones(20)
    target[:3] += 100.0
    weight[:3] = 0.0
    found = procrustes(source, target, weight)
    np.testing.assert_allclose(found.rotation, known.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, known.translation, atol=1e-8)


def test_points_are_lifted_by_the_median_and_only_where_there_is_depth() -> None:
    depth = np.full((320, 320), 700.0)
    depth[95:106, 95:106] = 0.0
    depth[200, 200] = 5000.0  # one wild pixel
    points, rows = lift(np.array([[200.0, 200.0], [100.0, 100.0], [50.4, 60.3], [400.0, 5.0]]), depth, CAMERA)
    assert rows.tolist() == [0, 2]
    np.testing.assert_allclose(points[:, 2], 700.0)
    np.testing.assert_allclose(CAMERA.project(points), [[200.0, 200.0], [50.4, 60.3]])


def test_too_few_landmarks_with_depth_give_no_pose() -> None:
    landmarks = FaceLandmarks("facemesh468", np.full((468, 2), 160.0), 1.0)
    assert pose_from_lifted(landmarks, np.zeros((320, 320)), CAMERA, landmark_model()) is None


def test_a_known_pose_is_lifted_from_a_surface_of_known_depth() -> None:
    """Landmarks of the mean face, each on a patch of its own depth."""
    known = pose(12.0, -6.0, 4.0)
    points = known.apply(landmark_model().points.mean)
    pixels = CAMERA.project(points)
    depth = np.zeros((320, 320))
    for (x, y), z in sorted(
        zip(np.round(pixels).astype(int).tolist(), points[:, 2], strict=True), key=lambda p: -p[1]
    ):
        if 3 < x < 316 and 3 < y < 316:
            depth[y - 2 : y + 3, x - 2 : x + 3] = z
    found = pose_from_lifted(FaceLandmarks("facemesh468", pixels, 1.0), depth, CAMERA, landmark_model())
    assert found is not None
    assert turn_between(found, known) < 4.0
    assert np.linalg.norm(found.translation - known.translation) < 6.0


@pytest.mark.parametrize("depth", [0.0, 100.0, 2500.0])
def test_nothing_within_reach_is_told(depth: float) -> None:
    with pytest.raises(TooLittleDepth):
        pose_from_depth(np.full((320, 320), depth), CAMERA, builtin_model())


def test_a_small_ball_and_a_steep_board_are_no_face() -> None:
    ball = depth_of_ball(CAMERA, np.array([0.0, 0.0, 600.0]), 25.0)
    board = depth_of_plane(CAMERA, np.array([2.5, 0.0, 1.0]), 600.0)
    for depth in (ball, np.where(board < 1800, board, 0.0)):
        with pytest.raises(NoFaceInDepth):
            pose_from_depth(depth, CAMERA, builtin_model())


@pytest.mark.parametrize("slant", [0.0, 0.3, 0.6, 1.0, 1.5])
def test_where_a_board_passes_for_a_face_its_fit_does_not(slant: float) -> None:
    board = depth_of_plane(CAMERA, np.array([0.0, slant, 1.0]), 600.0)
    seen = DepthFrame.from_array(
        np.where((board > 0) & (board < 1800), board, 0.0).astype(np.float32),
        camera=CAMERA,
        millimetres_per_unit=1.0,
        camera_name="generic",
    )
    probe = observe([seen], build_pipeline(ModelChoice.BUILTIN))
    assert probe.posterior is None
    assert {code for code, _ in probe.faults} <= {
        "no-face-in-depth", "surface-not-a-face", "too-little-face", "implausible-shape",
    }  # fmt: skip
    assert probe.faults


@pytest.mark.parametrize("sensor", [StructuredLight(), Stereo(), TimeOfFlight()], ids=lambda s: s.name)
@pytest.mark.parametrize("person", [6, 12, 17, 47, 54])
def test_heads_that_are_small_or_long_or_coarsely_measured_are_found(
    person: int, sensor: DepthSensor, population: SyntheticPopulation, dense: MorphableModel
) -> None:
    """People before whom the mean face alone came to rest on a cheek, or found no face (docs/adr/0194)."""
    for number in range(2):
        seen = population.subject(person).visit_frame(sensor, 0, number)
        found = pose_from_depth(clean_depth(seen.frame.depth), seen.frame.camera, dense)
        assert turn_between(found, seen.pose) < 12.0
        assert np.linalg.norm(found.translation - seen.pose.translation) < 20.0


@pytest.fixture(scope="module")
def dense(weights_mirror: Path) -> MorphableModel:
    return build_pipeline(ModelChoice.DENSE).model


@pytest.fixture(scope="module")
def population(weights_mirror: Path) -> SyntheticPopulation:
    return SyntheticPopulation(PopulationSpec(seed=77))


def test_a_camera_that_is_not_listed_has_the_generic_noise() -> None:
    assert noise_of("a camera nobody has heard of") == noise_of("generic")
