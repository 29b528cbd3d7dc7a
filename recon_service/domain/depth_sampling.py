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
    corners = np.stack([depth[r, c], depth[r, c + 1], depth[r + 1, c], depth[r + 1, c + 1]], axis=1)
    seen &= (corners > 0).all(axis=1) & (np.ptp(corners, axis=1) < MAX_STEP_MM)
    weights = np.stack(
        [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], axis=1
    )
    return np.asarray((corners * weights).sum(axis=1)), seen
