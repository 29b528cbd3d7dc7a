"""The similarity (rotation, one scale, translation) that brings points onto a template in the least squares.

Closed form of Umeyama (Least-squares estimation of transformation parameters between two point patterns, IEEE
PAMI 13(4), 1991); in the plane it is one division of complex numbers, and never mirrors.
"""

from __future__ import annotations

import numpy as np

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.errors import InvalidValue


def similarity(source: Array, target: Array, *, weights: Array | None = None) -> Array:
    """(2, 3) map A with target ≈ A[:, :2] @ source + A[:, 2].

    source, target: (N, 2), N ≥ 2, pixels. weights: (N,), not negative; None: all equal. Raises InvalidValue
    for points that are not finite or all in one place.
    """
    finite(shaped(source, "source points", None, 2), "source points")
    finite(shaped(target, "target points", len(source), 2), "target points")
    w = np.ones(len(source)) if weights is None else np.asarray(weights, dtype=np.float64)
    shaped(w, "weights", len(source))
    if not (w >= 0).all() or w.sum() <= 0:
        raise InvalidValue("weights must not be negative, nor all zero")
    w = w / w.sum()
    from_center, to_center = w @ source, w @ target
    p, q = (source - from_center).astype(np.float64), (target - to_center).astype(np.float64)
    a, b = p[:, 0] + 1j * p[:, 1], q[:, 0] + 1j * q[:, 1]
    spread = float(w @ np.abs(a) ** 2)
    if spread < 1e-12:
        raise InvalidValue("points that lie in one place have no scale")
    turn = complex(w @ (np.conj(a) * b)) / spread
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, to_center - linear @ from_center])


def inverse(affine: Array) -> Array:
    """The (2, 3) map that undoes ``affine``."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def scale_of(affine: Array) -> float:
    """By how much the (2, 3) map enlarges lengths (geometric mean over directions)."""
    return float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
