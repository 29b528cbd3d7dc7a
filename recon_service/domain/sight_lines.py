"""The lines of sight of all pixels of a camera."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from recon_service.domain.arrays import Array, frozen
from recon_service.domain.camera import PinholeCamera

MOST_KEPT_PIXELS: Final = 2**20
"""Of a distorted camera whose lines are kept: undistorting takes longer than all that follows, and a kiosk
has the same camera all day.
"""


def sight_lines(camera: PinholeCamera) -> tuple[Array, Array]:
    """X / z and y / z (H, W) of what each pixel sees, camera frame; read-only."""
    if any(camera.distortion) and camera.width * camera.height <= MOST_KEPT_PIXELS:
        return _kept(camera)
    return _computed(camera)


def back_projected(depth: Array, camera: PinholeCamera, rows: slice, columns: slice) -> Array:
    """Points (3, h, w) mm, camera frame, of a cut (h, w) of the depth map, mm along the optical axis."""
    x, y = sight_lines(camera)
    points = np.empty((3, *depth.shape))
    np.multiply(depth, x[rows, columns], out=points[0])
    np.multiply(depth, y[rows, columns], out=points[1])
    points[2] = depth
    return points


def _computed(camera: PinholeCamera) -> tuple[Array, Array]:
    shape = camera.height, camera.width
    if not any(camera.distortion):
        x = (np.arange(camera.width) - camera.cx) / camera.fx
        y = (np.arange(camera.height) - camera.cy) / camera.fy
        return np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape)
    row, column = np.indices(shape)
    rays = camera.rays(np.stack([column.ravel(), row.ravel()], axis=1).astype(np.float64))
    x, y, _ = rays.T.reshape(3, *shape)
    return frozen(np.ascontiguousarray(x)), frozen(np.ascontiguousarray(y))


_kept = lru_cache(maxsize=4)(_computed)
