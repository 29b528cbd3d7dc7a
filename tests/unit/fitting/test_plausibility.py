from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon_service.domain.evidence import Capture, DepthSurfaceEvidence
from recon_service.domain.fit import CaptureFit, Fit
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior
from recon_service.fitting.plausibility import MIN_RELIEF_MM, doubts, relative_size, relief, turn_between
from recon_service.simulation import sample_head
from recon_service.simulation.depth_sensor import true_depth
from tests.observations import CAMERA, builtin_model, landmark_model, pose


def seen(identity: np.ndarray | None = None, scale: float = 1.0) -> tuple[Fit, Capture]:
    """A perfect fit of the head that stands before the camera; its depth map multiplied by ``scale``."""
    model = builtin_model()
    identity = np.zeros(60) if identity is None else identity
    head = replace(sample_head(model, np.random.default_rng(0)), identity=identity).surface()
    small = replace(CAMERA, width=320, height=320, cx=159.5, cy=159.5, fx=600.0, fy=600.0)
    depth = scale * true_depth(head, small, pose()).depth
    fitted = CaptureFit(pose(), np.zeros(25), small, 1.0, 300, 1.0)
    capture = Capture("x", small, (DepthSurfaceEvidence(depth, 1.0, 800.0),), start=pose())
    return Fit(IdentityPosterior(model.space, identity, 0.5 * np.eye(60)), (fitted,)), capture


def codes(fit: Fit, capture: Capture) -> list[str]:
    return [c for c, _ in doubts(fit, [capture], model=builtin_model(), landmark_model=landmark_model())]


def test_a_good_fit_raises_no_doubt() -> None:
    assert codes(*seen()) == []
    assert codes(*seen(0.8 * np.random.default_rng(2).standard_normal(60))) == []


def test_each_limit_has_its_code() -> None:
    fit, capture = seen()
    (fitted,) = fit.captures
    assert codes(replace(fit, captures=(replace(fitted, residual_rms=2.1),)), capture) == ["fit-disagrees"]
    assert codes(replace(fit, captures=(replace(fitted, residual_mm=2.6),)), capture) == [
        "surface-not-a-face"
    ]
    strange = replace(fit, posterior=replace(fit.posterior, mean=np.full(60, 3.0)))
    assert "implausible-shape" in codes(strange, capture)


@pytest.mark.parametrize("sd", [-5.0, 5.0])
def test_a_face_of_impossible_size_is_doubted(sd: float) -> None:
    """The leading mode is size."""
    identity = np.zeros(60)
    identity[0] = sd
    assert codes(*seen(identity)) == ["implausible-shape"]


def test_a_depth_map_elsewhere_is_too_little_face() -> None:
    assert codes(*seen(scale=1.5)) == ["too-little-face"]


def test_only_depth_that_is_there_counts_as_face() -> None:
    fit, capture = seen()
    (evidence,) = capture.evidence
    assert isinstance(evidence, DepthSurfaceEvidence)
    empty = replace(capture, evidence=(replace(evidence, depth=0 * evidence.depth),))
    (fitted,) = fit.captures
    many_landmarks = replace(fit, captures=(replace(fitted, used_points=10_000, residual_mm=None),))
    assert codes(many_landmarks, empty) == ["too-little-face"]


def test_relief_is_what_a_quadratic_surface_leaves() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-60, 60, (2, 500))
    quadratic = np.column_stack([x, y, 3 + 0.1 * x - 0.2 * y + 0.004 * x * x - 0.001 * x * y + 0.002 * y * y])
    assert relief(quadratic) == pytest.approx(0.0, abs=1e-9)
    bumped = quadratic + np.column_stack([0 * x, 0 * x, rng.normal(0, 3.0, 500)])
    assert relief(bumped) == pytest.approx(3.0, rel=0.1)
    model = builtin_model()
    assert relief(model.vertices.mean[model.surface]) > 2 * MIN_RELIEF_MM


def test_size_is_relative_to_the_mean_face() -> None:
    points = builtin_model().vertices
    assert relative_size(points, np.zeros(60)) == pytest.approx(1.0)
    grown = replace(points, identity=points.mean[:, :, None] * 0.1)
    assert relative_size(grown, np.array([2.0])) == pytest.approx(1.2)


def test_the_turn_between_poses_is_an_angle() -> None:
    one = pose(10.0, 5.0)
    assert turn_between(one, one) == pytest.approx(0.0, abs=1e-5)
    turned = one.moved(np.deg2rad([0.0, 25.0, 0.0]), np.zeros(3))
    assert turn_between(one, turned) == pytest.approx(25.0)
    assert turn_between(turned, HeadPose(one.rotation, one.translation + 9.0)) == pytest.approx(25.0)
