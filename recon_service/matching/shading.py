"""Taking the light out of a face picture.

A lamp that stands still shades a head that turns differently in every view, and a lamp at the camera does
so even for a still scene: matching would follow the shading instead of the skin. The light on a matte
surface depends on its normal alone and is nearly a quadratic function of it (spherical harmonics up to
order 2: Ramamoorthi and Hanrahan; Basri and Jacobs). So that function is fitted to each view's own pixels
with the normals of the current mesh, and divided out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array

DARKEST = 0.25
"""Smallest shading that is divided by, as a share of the mean."""
ROUNDS = 2
OUTLIER = 2.0
ENOUGH = 1500
"""Points that the light is fitted to, at least, where there are so many."""


def shading(brightness: Array, normals: Array) -> Array:
    """The part of brightness (N,) that a light on matte skin with these unit normals (N, 3) explains, mean 1.

    Least squares on the nine harmonics; brows, lips and highlights are left out in a second round.
    """
    basis = _harmonics(normals)
    # Nine numbers do not need all of the skin to be known by.
    every = max(1, len(brightness) // ENOUGH)
    some, seen = basis[::every], brightness[::every]
    weight: Array = np.ones(len(seen))
    coefficients: NDArray[Any] = np.zeros(basis.shape[1])
    for _ in range(ROUNDS):
        weighted = some * weight[:, None]
        system = weighted.T @ some + 1e-6 * len(seen) * np.eye(basis.shape[1])
        coefficients = np.linalg.solve(system, weighted.T @ seen)
        residual = seen - some @ coefficients
        scale = 1.4826 * float(np.median(np.abs(residual))) + 1e-6
        weight = 1.0 / (1.0 + (residual / (OUTLIER * scale)) ** 2)
    fitted = basis @ coefficients
    mean = max(float(fitted.mean()), 1e-6)
    return np.asarray(np.maximum(fitted / mean, DARKEST))


def _harmonics(n: Array) -> Array:
    """(N, 9): constant, linear and quadratic harmonics, unnormalized."""
    x, y, z = n.T
    return np.stack([np.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], axis=1)
