"""Rotation, translation and one scale: what two shapes may differ by and still be the same shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Similarity:
    """x -> scale * rotation @ x + translation."""

    rotation: Array
    translation: Array
    scale: float

    def __post_init__(self) -> None:
        finite(shaped(self.rotation, "rotation", 3, 3), "rotation")
        finite(shaped(self.translation, "translation", 3), "translation")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise InvalidValue("the scale of a similarity must be positive")

    def apply(self, points: Array) -> Array:
        """Points (N, 3) after it."""
        return np.asarray(self.scale * points @ self.rotation.T + self.translation)


def best_similarity(points: Array, target: Array, weights: Array | None = None) -> Similarity:
    """The similarity (no reflection) that brings points (N, 3) closest to target (N, 3).

    weights: (N,) of the squared distances. Closed form: Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", 1991. Raises InvalidValue for points that lie on one line.
    """
    weights = np.full(len(points), 1.0 / len(points)) if weights is None else weights / weights.sum()
    from_mean, to_mean = weights @ points, weights @ target
    source, goal = points - from_mean, target - to_mean
    spread = float(weights @ (source**2).sum(axis=1))
    u, scales, vt = np.linalg.svd((goal * weights[:, None]).T @ source)
    if spread <= 0 or scales[0] <= 0 or scales[1] <= 1e-12 * scales[0]:
        raise InvalidValue("points on one line determine no rotation")
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    rotation = np.asarray((u * signs) @ vt)
    scale = float(scales @ signs) / spread
    return Similarity(rotation, to_mean - scale * rotation @ from_mean, scale)
