"""Light and contrast; what everything that matches skin must do is in tests/contract/test_matchers.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recon_service.matching.matcher import SurfaceMatcher
from recon_service.matching.shading import shading
from recon_service.matching.view import evened
from tests.observations import builtin_model
from tests.speckled import speckled_pictures, true_fit


def test_shading_is_what_the_normals_explain() -> None:
    rng = np.random.default_rng(2)
    normals = rng.standard_normal((4000, 3)) + np.array([0.0, 0.0, -2.0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    light = 100 + 60 * normals[:, 0] - 40 * normals[:, 2] + 20 * normals[:, 0] * normals[:, 1]
    brightness = light * rng.uniform(0.9, 1.1, len(light))
    brightness[:200] *= 0.3  # brows
    found = shading(brightness, normals)
    assert np.abs(found / found.mean() - light / light.mean()).max() < 0.05


def test_evening_ignores_gain_and_offset() -> None:
    rng = np.random.default_rng(2)
    gray = rng.uniform(40, 200, (64, 64)).astype(np.float32)
    mask = np.ones((64, 64), np.uint8)
    one, other = evened(gray, mask, blur=5.0), evened(0.5 * gray + 30, mask, blur=5.0)
    assert np.abs(one.astype(int) - other.astype(int)).mean() < 4
    mask[:, 32:] = 0
    assert (evened(gray, mask, blur=5.0)[:, 32:] == 128).all()


def test_a_rounding_error_of_the_fit_changes_few_of_the_matches() -> None:
    found = SurfaceMatcher(builtin_model())
    fit = true_fit()
    mean = fit.posterior.mean * (1 + 1e-7)
    near = replace(fit, posterior=replace(fit.posterior, mean=mean))
    views = found.views(speckled_pictures(), fit)
    for round_ in range(found.rounds):
        (one,), (other,) = (found.matches(views, f, [(0, 1)], round_=round_) for f in (fit, near))
        kept, again = (set(zip(m.triangles, m.barycentric[:, 0], strict=True)) for m in (one, other))
        assert len(kept & again) > 0.9 * len(kept)
