from __future__ import annotations

import numpy as np
import pytest

from recon_service.application.computing.inspection import (
    REGIONS,
    aligned,
    depth_distance,
    posterior_width,
    region_widths,
    spread_over,
)
from recon_service.assembly import BUILTIN
from recon_service.canonical_model import load_builtin, load_landmark_model
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.fit import CaptureFit, Fit
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior
from recon_service.simulation.depth_sensor import true_depth
from recon_service.weights import bundled_directory

CAMERA = PinholeCamera(width=320, height=320, fx=420.0, fy=420.0, cx=159.5, cy=159.5)


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_builtin(bundled_directory() / BUILTIN)


def captured(model: MorphableModel, identity: np.ndarray, pose: HeadPose) -> DepthFrame:
    truth = true_depth(model.mesh(identity), CAMERA, pose)
    return DepthFrame(truth.depth, CAMERA)


def fit_at(model: MorphableModel, pose: HeadPose) -> Fit:
    posterior = IdentityPosterior.prior(model.space, model.identity_modes)
    return Fit(posterior, (CaptureFit(pose, np.zeros(model.expression_modes), CAMERA, 1.0, 100),))


POSE = HeadPose.from_angles(yaw=6.0, pitch=-3.0, roll=2.0, translation=np.array([4.0, -6.0, 520.0]))


def test_the_width_is_that_of_sampled_faces_along_the_normal(model: MorphableModel) -> None:
    rng = np.random.default_rng(1)
    modes = model.identity_modes
    root = 0.3 * rng.standard_normal((modes, modes)) / np.sqrt(modes) + 0.2 * np.eye(modes)
    posterior = IdentityPosterior(model.space, 0.3 * rng.standard_normal(modes), root @ root.T)
    mean = model.mesh(posterior.mean)
    samples = posterior.mean + rng.standard_normal((3000, modes)) @ root.T
    moved = np.einsum("vck,sk->svc", model.vertices.identity, samples - posterior.mean)
    along = np.einsum("svc,vc->sv", moved, mean.vertex_normals())
    np.testing.assert_allclose(posterior_width(model, posterior), along.std(axis=0), rtol=0.08)


def test_more_evidence_makes_every_region_narrower(model: MorphableModel) -> None:
    landmarks = load_landmark_model(bundled_directory() / BUILTIN, model)
    prior = IdentityPosterior.prior(model.space, model.identity_modes)
    seen = IdentityPosterior(model.space, prior.mean, 0.25 * prior.covariance)
    wide = dict(region_widths(model, landmarks, posterior_width(model, prior)))
    narrow = dict(region_widths(model, landmarks, posterior_width(model, seen)))
    assert list(wide) == list(REGIONS)
    for name in wide:
        assert narrow[name] == pytest.approx(0.5 * wide[name])


def test_a_capture_of_the_template_itself_lies_on_it_however_the_pose_was_wrong(
    model: MorphableModel,
) -> None:
    identity = 0.6 * np.random.default_rng(2).standard_normal(model.identity_modes)
    frame = captured(model, identity, POSE)
    off = POSE.moved(np.array([0.02, -0.03, 0.02]), np.array([2.0, -2.0, 3.0]))
    posterior = IdentityPosterior(model.space, identity, 0.1 * np.eye(model.identity_modes))
    found = depth_distance([frame], [fit_at(model, off)], model, posterior)
    assert found is not None
    seen = np.isfinite(found)
    assert seen.mean() > 0.5
    assert np.sqrt(np.mean(found[seen] ** 2)) < 0.35


def test_what_stands_out_is_positive_and_as_far_as_it_does(model: MorphableModel) -> None:
    face = model.mesh(np.zeros(model.identity_modes))
    nose = np.linalg.norm(face.vertices - face.vertices[np.argmax(face.vertices[:, 2])], axis=1)
    bump = 3.0 * np.exp(-((nose / 14.0) ** 2))
    grown = Mesh(face.vertices + bump[:, None] * face.vertex_normals(), face.triangles)
    truth = true_depth(grown, CAMERA, POSE)
    frame = DepthFrame(truth.depth, CAMERA)
    posterior = IdentityPosterior.prior(model.space, model.identity_modes)
    found = depth_distance([frame], [fit_at(model, POSE)], model, posterior)
    assert found is not None
    top, elsewhere = (bump > 2.0) & np.isfinite(found), (bump < 0.1) & np.isfinite(found)
    assert 1.5 < found[top].mean() < 3.2
    assert abs(found[elsewhere].mean()) < 0.5


def test_without_a_surface_the_pose_stays_and_there_is_no_distance(model: MorphableModel) -> None:
    face = model.mesh(np.zeros(model.identity_modes))
    nothing = DepthFrame(np.zeros((CAMERA.height, CAMERA.width)), CAMERA)
    fit = fit_at(model, POSE)
    assert aligned(nothing, face, fit.captures[0], model) is POSE
    posterior = IdentityPosterior.prior(model.space, model.identity_modes)
    assert depth_distance([nothing], [], model, posterior) is None
    found = depth_distance([nothing], [fit], model, posterior)
    assert found is not None
    assert np.isnan(found).all()


def test_values_are_spread_to_what_is_near_alone() -> None:
    places = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0], [10, 10, 0]])
    values = np.array([1.0, 2.0, 3.0, 4.0])
    at = np.array([[0.0, 0, 0], [5, 5, 0], [500, 0, 0]])
    found = spread_over(at, places, values)
    assert found[0] == pytest.approx(1.0, abs=0.05)
    assert found[1] == pytest.approx(2.5)
    assert np.isnan(found[2])
