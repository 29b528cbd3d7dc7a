"""How far a face's surface is from sheets of paper, bent ever more freely. All values: root mean square in
mm over the skin; small for a print, large for a face, whose nose no sheet follows.
"""

from __future__ import annotations

import numpy as np

from recon_service.domain.arrays import Array

UNIT_MM = 60.0
"""Coordinates in this unit keep powers of them comparable."""
AXES = 24


def plane_residual(skin: Array) -> float:
    """From the best plane. skin: (P, 3), z along its normal."""
    return _rms(skin[:, 2] - skin[:, 2].mean())


def cylinder_residual(skin: Array) -> float:
    """From the best sheet that is bent about one axis in any direction: its profile across the axis is a
    polynomial of degree 4, which holds the arc of a circle and more.
    """
    x, y, z = skin[:, 0] / UNIT_MM, skin[:, 1] / UNIT_MM, skin[:, 2]
    best = np.inf
    for angle in np.arange(AXES) * np.pi / AXES:
        along, across = np.cos(angle) * y - np.sin(angle) * x, np.cos(angle) * x + np.sin(angle) * y
        best = min(best, _residual(np.stack([np.ones_like(x), along, *(across**n for n in range(1, 5))]), z))
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
