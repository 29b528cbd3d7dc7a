"""What must hold for the identity posterior of depth captures of known heads, and of wrong captures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import observe
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.canonical_model import load_landmark_model
from recon_service.depth import depth_capture
from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.evidence import Capture, DepthSurfaceEvidence, Evidence, LandmarkEvidence
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.kinect2 import kinect2_subjects
from recon_service.fitting import fit_identity
from recon_service.simulation import sample_head
from recon_service.simulation.depth_sensor import true_depth
from recon_service.weights import bundled_directory
from tests.observations import (
    builtin_model,
    dense_model,
    depth_of_ball,
    depth_of_plane,
    landmark_model,
    landmark_noise,
)

CAMERA = PinholeCamera(width=320, height=320, fx=600.0, fy=600.0, cx=159.5, cy=159.5)
HERE = np.array([0.0, 0.0, 600.0])
PIXEL_SD = 1.5
"""White noise per pixel. Bilinear reading keeps (2/3)² of its variance: 1 mm per point, as is assumed."""


@pytest.fixture(scope="module")
def dense(weights_mirror: Path) -> MorphableModel:
    return dense_model(weights_mirror)


def depth_of(
    model: MorphableModel,
    identity: Array,
    expression: Array,
    at: HeadPose,
    rng: np.random.Generator,
    *,
    sd: float = PIXEL_SD,
) -> Array:
    head = replace(sample_head(model, np.random.default_rng(0)), identity=identity)
    depth = true_depth(head.surface(expression), CAMERA, at).depth
    return np.where(depth > 0, depth + sd * rng.standard_normal(depth.shape), 0.0)


def fitted(model: MorphableModel, captures: list[Capture]) -> IdentityPosterior:
    landmarks = load_landmark_model(bundled_directory() / "builtin.npz", model)
    return fit_identity(model, captures, landmark_model=landmarks).posterior


def captured(model: MorphableModel, depth: Array, start: HeadPose, *more: Evidence) -> Capture:
    """Every point of the model counts: the noise is independent."""
    surface = DepthSurfaceEvidence(depth, 1.0, float(len(model.surface)))
    return Capture("x", CAMERA, (surface, *more), start=start)


def recovered(model: MorphableModel, people: int, *, landmarks: bool) -> tuple[Array, Array, Array]:
    """(people, K) true coefficients, posterior means and posterior standard deviations."""
    rng = np.random.default_rng(11)
    truths, means, sds = [], [], []
    apparent = load_landmark_model(bundled_directory() / "builtin.npz", model)
    for _ in range(people):
        identity = rng.standard_normal(model.identity_modes)
        expression = 0.5 * rng.standard_normal(model.expression_modes)
        yaw, pitch, roll = rng.normal(0, (10, 6, 4))
        at = HeadPose.from_angles(yaw=yaw, pitch=pitch, roll=roll, translation=HERE)
        depth = depth_of(model, identity, expression, at, rng)
        more: list[Evidence] = []
        if landmarks:
            (noise,) = landmark_noise(apparent, 1, rng)
            pixels = CAMERA.project(at.apply(apparent.points.positions(identity, expression)))
            more.append(
                LandmarkEvidence(FaceLandmarks("facemesh468", pixels + noise * CAMERA.fx / HERE[2], 1.0))
            )
        start = at.moved(np.deg2rad(rng.normal(0, 3, 3)), rng.normal(0, 4, 3))
        posterior = fitted(model, [captured(model, depth, start, *more)])
        truths.append(identity)
        means.append(posterior.mean)
        sds.append(np.sqrt(np.diag(posterior.covariance)))
    return np.array(truths), np.array(means), np.array(sds)


def correlations(truth: Array, mean: Array, modes: int) -> Array:
    return np.array([np.corrcoef(truth[:, k], mean[:, k])[0, 1] for k in range(modes)])


@pytest.mark.parametrize("landmarks", [False, True])
def test_known_coefficients_are_recovered_to_the_noise(dense: MorphableModel, landmarks: bool) -> None:
    """Errors in units of the posterior's own width have a mean square of one, whatever the expression."""
    truth, mean, sd = recovered(dense, 20, landmarks=landmarks)
    assert 0.8 <= np.mean(((mean - truth) / sd) ** 2) <= 1.25
    leading = correlations(truth, mean, 5)
    assert leading[0] > 0.9, "size"
    assert np.median(leading) > 0.85
    assert np.mean((mean - truth) ** 2) < 0.6 * np.mean(truth**2)


def test_the_built_in_model_recovers_less_and_says_more_than_it_knows() -> None:
    """Its surface is subdivided for the camera: the truth is not in the model, the error is not all noise."""
    truth, mean, sd = recovered(builtin_model(), 16, landmarks=True)
    assert np.mean(((mean - truth) / sd) ** 2) < 3.0
    assert correlations(truth, mean, 1)[0] > 0.8
    assert np.mean((mean - truth) ** 2) < np.mean(truth**2), "better than knowing nothing"


@pytest.mark.parametrize("seed", range(3))
def test_the_posterior_does_not_depend_on_the_pose(dense: MorphableModel, seed: int) -> None:
    """Without noise, means at different poses agree within the posterior's width and find the truth."""
    rng = np.random.default_rng(seed)
    identity = rng.standard_normal(60)
    expression = 0.5 * rng.standard_normal(25)
    posteriors = []
    for yaw, pitch in ((0.0, 0.0), (30.0, 0.0), (-30.0, 0.0), (0.0, 15.0), (0.0, -15.0)):
        at = HeadPose.from_angles(yaw=yaw, pitch=pitch, roll=0.0, translation=HERE)
        depth = depth_of(dense, identity, expression, at, rng, sd=0.0)
        start = at.moved(np.deg2rad([1.0, -2.0, 1.0]), np.array([2.0, -2.0, 3.0]))
        posteriors.append(fitted(dense, [captured(dense, depth, start)]))
    for one in posteriors:
        for other in posteriors:
            width = np.sqrt(np.diag(one.covariance) + np.diag(other.covariance))
            assert np.sqrt(np.mean(((one.mean - other.mean) / width) ** 2)) < 0.7
        assert np.corrcoef(one.mean[:20], identity[:20])[0, 1] > 0.55


def test_two_frames_know_more_than_one(dense: MorphableModel) -> None:
    """Fused or fitted together, and both to about the same."""
    rng = np.random.default_rng(5)
    identity = rng.standard_normal(60)
    captures = []
    for yaw in (-12.0, 12.0):
        at = HeadPose.from_angles(yaw=yaw, pitch=0.0, roll=0.0, translation=HERE)
        depth = depth_of(dense, identity, np.zeros(25), at, rng)
        captures.append(captured(dense, depth, at))
    one, other = (fitted(dense, [capture]) for capture in captures)
    fused, together = one.fused_with(other), fitted(dense, captures)
    for single in (one, other):
        assert np.linalg.eigvalsh(single.covariance - fused.covariance).min() > -1e-9
    width = np.sqrt(np.diag(together.covariance))
    assert np.sqrt(np.mean(((fused.mean - together.mean) / width) ** 2)) < 0.6
    np.testing.assert_allclose(np.diag(fused.covariance), np.diag(together.covariance), rtol=0.3)


@pytest.mark.parametrize("yaw", [-20.0, 0.0, 20.0])
def test_a_head_is_found_by_its_depth_alone(yaw: float) -> None:
    model, rng = builtin_model(), np.random.default_rng(8)
    at = HeadPose.from_angles(yaw=yaw, pitch=5.0, roll=-4.0, translation=np.array([20.0, 10.0, 620.0]))
    depth = depth_of(model, 0.7 * rng.standard_normal(60), np.zeros(25), at, rng, sd=0.5)
    frame = DepthFrame(np.clip(depth, 0, None), CAMERA)
    start = depth_capture(frame, landmarks=None, model=model, landmark_model=landmark_model()).start
    assert start is not None
    turn = np.trace(start.rotation.T @ at.rotation)
    assert np.rad2deg(np.arccos(np.clip((turn - 1) / 2, -1, 1))) < 12.0
    assert np.linalg.norm(start.translation - at.translation) < 20.0


# ---- captures that are wrong


@cache
def pipeline() -> FacePipeline:
    return build_pipeline(ModelChoice.BUILTIN)


@cache
def recorded(root: Path, frame: int) -> tuple[DepthFrame, ...]:
    """A frame of four people, with its infrared picture."""
    subjects = list(kinect2_subjects(root))[:4]
    return tuple(subject.depth(frame) for subject in subjects if frame in subject.frames())


def with_depth(change: Callable[[DepthFrame], Array]) -> Callable[[DepthFrame], DepthFrame]:
    return lambda frame: replace(frame, depth=np.ascontiguousarray(change(frame)))


def with_focal(factor: float) -> Callable[[DepthFrame], DepthFrame]:
    return lambda frame: replace(frame, camera=frame.camera.scaled_focal(factor))


def tenths(frame: DepthFrame) -> DepthFrame:
    """Depth in tenths of a millimetre that are said to be millimetres; the wall behind is out of range."""
    return replace(frame, depth=np.where(frame.depth < 6000, 10.0 * frame.depth, 0.0))


def plane(frame: DepthFrame) -> Array:
    return depth_of_plane(frame.camera, np.array([0.1, 0.2, 1.0]), 800.0)


def ball(frame: DepthFrame) -> Array:
    return depth_of_ball(frame.camera, np.array([0.0, 0.0, 900.0]), 95.0)


NOT_SEEN = {"too-little-depth", "no-face-in-depth"}
WRONG = {
    "meters": (with_depth(lambda f: f.depth / 1000), {"too-little-depth"}),
    "tenths of a millimetre": (tenths, {"too-little-depth"}),
    "centimetres": (with_depth(lambda f: f.depth / 10), {*NOT_SEEN, "implausible-shape", "too-little-face"}),
    "half": (with_depth(lambda f: f.depth / 2), {"implausible-shape"}),
    "double": (with_depth(lambda f: f.depth * 2), {*NOT_SEEN, "implausible-shape"}),
    "focal length x 1.6": (with_focal(1.6), {"implausible-shape"}),
    "focal length / 1.6": (with_focal(1 / 1.6), {"implausible-shape"}),
    "plane": (with_depth(plane), {"surface-not-a-face"}),
    "ball": (with_depth(ball), {"surface-not-a-face"}),
    "zeros": (with_depth(lambda f: 0 * f.depth), {"too-little-depth"}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_gross_mistakes_are_caught_and_named(cases: Path, wrong: str) -> None:
    spoil, codes = WRONG[wrong]
    for frame in recorded(cases / "kinect2_dev", 2):
        probe = observe([spoil(frame)], pipeline())
        assert probe.posterior is None
        assert {code for code, _ in probe.faults} & codes
        assert all(hint for _, hint in probe.faults)


@pytest.mark.parametrize(
    "wrong", ["meters", "tenths of a millimetre", "centimetres", "plane", "ball", "zeros"]
)
def test_without_a_picture_they_are_caught_too(cases: Path, wrong: str) -> None:
    spoil, codes = WRONG[wrong]
    for frame in recorded(cases / "kinect2_dev", 2)[:2]:
        probe = observe([replace(spoil(frame), image=None)], pipeline())
        assert probe.posterior is None
        assert {code for code, _ in probe.faults} & (codes | NOT_SEEN)


def test_a_picture_mirrored_against_its_depth_map_is_caught_when_the_head_is_turned(cases: Path) -> None:
    """A head that looks straight ahead is nearly its own mirror image: there it cannot be seen."""
    turned = 0
    for subject in list(kinect2_subjects(cases / "kinect2_dev"))[:2]:
        for number in subject.frames()[2::6]:
            frame = subject.depth(number)
            right = observe([frame], pipeline())
            assert right.posterior is not None
            if abs(right.fits[0].captures[0].pose.angles()[0]) < 18.0:
                continue
            turned += 1
            wrong = observe([replace(frame, depth=np.ascontiguousarray(frame.depth[:, ::-1]))], pipeline())
            assert wrong.posterior is None
            assert "fit-disagrees" in {code for code, _ in wrong.faults}
    assert turned >= 2


def test_holes_in_the_map_do_no_harm(cases: Path) -> None:
    for frame in recorded(cases / "kinect2_dev", 2)[:2]:
        depth = frame.depth.copy()
        depth[np.random.default_rng(0).random(depth.shape) < 0.01] = np.nan
        holes = DepthFrame.from_array(
            depth, camera=frame.camera, camera_name=frame.camera_name, image=frame.image
        )
        whole, spoiled = (observe([f], pipeline()).posterior for f in (frame, holes))
        assert whole is not None
        assert spoiled is not None
        width = np.sqrt(np.diag(whole.covariance))
        assert np.sqrt(np.mean(((whole.mean - spoiled.mean) / width) ** 2)) < 0.6


def test_a_spoiled_frame_does_not_pull_the_others(cases: Path) -> None:
    frame = recorded(cases / "kinect2_dev", 2)[0]
    alone = observe([frame], pipeline())
    beside = observe([WRONG["plane"][0](frame), frame, WRONG["zeros"][0](frame)], pipeline())
    assert alone.posterior is not None
    assert beside.posterior is not None
    np.testing.assert_allclose(beside.posterior.mean, alone.posterior.mean)
    assert [code for code, _ in beside.faults] == ["surface-not-a-face", "too-little-depth"]
