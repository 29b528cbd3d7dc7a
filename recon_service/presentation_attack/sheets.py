"""How far a face's surface is from sheets of paper, bent ever more freely. All values: root mean square in
mm over the skin; small for a print, large for a face, whose nose no sheet follows.
"""

from __future__ import annotations

import numpy as np

from recon_service.domain.arrays import Array

UNIT_MM = 60.0
"""Coordinates in this unit keep powers of them comparable."""
AXES = 24
KNOT_MM = 12.0
"""Finer than any fold of paper that keeps a picture readable, coarser than the noise of one pixel."""


def plane_residual(skin: Array) -> float:
    """From the best plane. skin: (P, 3), z along its normal."""
    return _rms(skin[:, 2] - skin[:, 2].mean())


def cylinder_residual(skin: Array) -> float:
    """From the best general cylinder: a sheet that is straight along one direction, whichever, and bent,
    folded or waved across it in any way. Its profile is linear between knots.
    """
    x, y, z = skin[:, 0], skin[:, 1], skin[:, 2]
    best = np.inf
    for angle in np.arange(AXES) * np.pi / AXES:
        along, across = np.cos(angle) * y - np.sin(angle) * x, np.cos(angle) * x + np.sin(angle) * y
        knots = np.arange(across.min(), across.max() + KNOT_MM, KNOT_MM)
        profile = np.clip(1.0 - np.abs(across - knots[:, None]) / KNOT_MM, 0.0, None)
        best = min(best, _residual(np.vstack([profile, along / UNIT_MM]), z))
    return float(best)


def polynomial_residual(skin: Array, degree: int) -> float:
    """From the best polynomial of that degree over the plane: 2 is a sheet bent about two axes, 4 one that
    is crumpled or wavy as well.
    """
    x, y, z = skin[:, 0] / UNIT_MM, skin[:, 1] / UNIT_MM, skin[:, 2]
    return _residual(monomials(x, y, degree), z)


def monomials(x: Array, y: Array, degree: int) -> Array:
    """(M, P): all products of powers of x and y up to ``degree``, 1 among them."""
    return np.stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)])


def _residual(basis: Array, values: Array) -> float:
    gram = basis @ basis.T
    weights = np.linalg.lstsq(gram, basis @ values, rcond=None)[0]
    return _rms(values - weights @ basis)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.square(values).mean()))
