"""Reading a depth map where 3D points project into it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera

NEAREST_MM = 1.0
MAX_STEP_MM = 15.0
"""Depth range of the four pixels around a projected point beyond which they straddle an edge."""


def depth_at(depth: Array, camera: PinholeCamera, points: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Measured depth (N,) mm on the lines of sight of points (N, 3) mm, camera frame, bilinear; and (N,)
    whether it can be trusted: the point is ahead, inside the map, and all four pixels around it are
    measured and belong to one surface.
    """
    height, width = depth.shape
    ahead = points[:, 2] > NEAREST_MM
    pixels = camera.project(np.where(ahead[:, None], points, [0.0, 0.0, NEAREST_MM]))
    column, row = np.floor(pixels).T
    seen = ahead & (column >= 0) & (row >= 0) & (column < width - 1) & (row < height - 1)
    c = np.where(seen, column, 0).astype(np.int64)
    r = np.where(seen, row, 0).astype(np.int64)
    right, down = pixels[:, 0] - c, pixels[:, 1] - r
    here, beside, below, across = depth[r, c], depth[r, c + 1], depth[r + 1, c], depth[r + 1, c + 1]
    nearest = np.minimum(np.minimum(here, beside), np.minimum(below, across))
    farthest = np.maximum(np.maximum(here, beside), np.maximum(below, across))
    seen &= (nearest > 0) & (farthest - nearest < MAX_STEP_MM)
    above = (1 - right) * here + right * beside
    return np.asarray((1 - down) * above + down * ((1 - right) * below + right * across)), seen
