"""Lens models of camera makers -> the Brown-Conrady coefficients that the service knows.

Some cameras state the inverse model (from distorted to ideal coordinates) or another one. Rays through a
grid of pixels, as the maker's own code gives them, determine the Brown-Conrady coefficients: the model is
linear in them. What cannot be expressed to a tenth of a pixel is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.kiosk.errors import WrongStream

GRID: Final = 17
WORST_PX: Final = 0.1
Distortion = tuple[float, float, float, float, float]


def brown_conrady(
    rays: Callable[[Array], Array], *, width: int, height: int, fx: float, fy: float, cx: float, cy: float
) -> Distortion:
    """(k1, k2, p1, p2, k3) for a lens given by ``rays``: pixels (N, 2) -> ideal x/z, y/z (N, 2).

    Raises WrongStream when the fit misses by more than WORST_PX anywhere.
    """
    u, v = np.meshgrid(np.linspace(0, width - 1, GRID), np.linspace(0, height - 1, GRID))
    pixels = np.stack([u.ravel(), v.ravel()], axis=1)
    ideal = rays(pixels)
    x, y = ideal[:, 0], ideal[:, 1]
    shift_x = (pixels[:, 0] - cx) / fx - x
    shift_y = (pixels[:, 1] - cy) / fy - y
    r2 = x * x + y * y
    of_x = np.stack([x * r2, x * r2**2, 2 * x * y, r2 + 2 * x * x, x * r2**3], axis=1)
    of_y = np.stack([y * r2, y * r2**2, r2 + 2 * y * y, 2 * x * y, y * r2**3], axis=1)
    design = np.concatenate([of_x * fx, of_y * fy])
    target = np.concatenate([shift_x * fx, shift_y * fy])
    found, *_ = np.linalg.lstsq(design, target, rcond=None)
    missed = float(np.abs(design @ found - target).max())
    if not missed <= WORST_PX:
        raise WrongStream(
            f"the lens model misses by {missed:.2f} pixels as Brown-Conrady coefficients",
            next_step="Choose a rectified stream, or undistort it in the camera.",
        )
    k1, k2, p1, p2, k3 = (float(value) for value in found)
    return k1, k2, p1, p2, k3
