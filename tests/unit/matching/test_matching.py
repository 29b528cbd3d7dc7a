"""Light and contrast; what everything that matches skin must do is in tests/contract/test_matchers.py."""

from __future__ import annotations

import numpy as np

from recon_service.matching.shading import shading
from recon_service.matching.view import evened


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
