"""The noise of a backend's mesh, learned from faces whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.domain.evidence import SurfacePoints
from recon_service.reconstruction.surface_evidence import REGIONS
from recon_service.reconstruction.surface_noise import learned_noise
from tests.observations import builtin_model

MODEL = builtin_model()


def pairs(count: int, *, smooth: float, rough: float, seed: int = 1):  # type: ignore[no-untyped-def]
    """Evidence at the model's vertices with errors along its modes (smooth) and at each point (rough)."""
    rng = np.random.default_rng(seed)
    triangles = np.arange(len(MODEL.triangles))[MODEL.skin]
    barycentric = rng.dirichlet(np.ones(3), len(triangles))
    points = MODEL.vertices.between(MODEL.triangles[triangles], barycentric)
    found, truths = [], []
    for _ in range(count):
        truth = rng.standard_normal(60)
        seen = points.positions(truth) + points.identity @ (smooth * rng.standard_normal(60))
        seen = 3.0 * (seen + rough * rng.standard_normal(seen.shape)) + 100.0
        one = np.ones(len(triangles))
        found.append(SurfacePoints("test", seen, triangles, barycentric, one, 100.0))
        truths.append(truth)
    return found, truths


def test_independent_errors_are_found_as_they_are() -> None:
    evidence, truths = pairs(20, smooth=0.0, rough=1.5)
    noise = learned_noise(evidence, truths, MODEL)
    assert set(noise.sd) == set(REGIONS)
    assert all(sd == pytest.approx(1.5, rel=0.1) for sd in noise.sd.values())
    assert noise.effective_points > 0.7 * len(evidence[0].points)


def test_smooth_errors_leave_few_effective_points() -> None:
    noise = learned_noise(*pairs(20, smooth=0.7, rough=0.1), MODEL)
    assert noise.effective_points < 60


def test_nothing_is_learned_from_nothing() -> None:
    with pytest.raises(InvalidValue):
        learned_noise([], [], MODEL)
