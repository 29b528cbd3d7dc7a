"""Depth map -> the part of it around the head, and which way its surface faces there."""

from __future__ import annotations

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.domain.sight_lines import back_projected

REACH_MM = 170.0
"""Farthest that skin of a face lies from the middle of its surface, with room for a start that is off."""
NORMAL_STEP_PX = 2
"""Normals come from differences over so many pixels to either side: less would be sensor noise."""


def face_region(depth: Array, camera: PinholeCamera, start: HeadPose, model: MorphableModel) -> Array:
    """The depth map (H, W) mm with everything cleared that lies farther than REACH_MM from the middle of
    the face.
    """
    middle = start.apply(model.vertices.mean[model.surface].mean(axis=0)[None])[0]
    region = np.zeros_like(depth)
    rows, columns = _box(depth, camera, middle)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return region
    part = depth[rows, columns]
    x, y, z = back_projected(part, camera, rows, columns)
    near = (x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2 < REACH_MM**2
    region[rows, columns] = np.where(near, part, 0.0)
    return region


def surface_normals(depth: Array, camera: PinholeCamera) -> Array:
    """Unit normals (H, W, 3) of the measured surface, camera frame, facing the camera; zero where a
    neighbor is missing.

    Cross product of the differences between the points NORMAL_STEP_PX to either side, across and down.
    """
    normals = np.zeros((*depth.shape, 3))
    seen = np.nonzero(depth)
    if len(seen[0]) == 0:
        return normals
    top, left = (max(int(axis.min()) - NORMAL_STEP_PX, 0) for axis in seen)
    bottom, right = (int(axis.max()) + NORMAL_STEP_PX + 1 for axis in seen)
    rows, columns = slice(top, min(bottom, depth.shape[0])), slice(left, min(right, depth.shape[1]))
    part = depth[rows, columns]
    k = NORMAL_STEP_PX
    if min(part.shape) <= 2 * k:
        return normals
    points = back_projected(part, camera, rows, columns)
    ax, ay, az = points[:, k:-k, 2 * k :] - points[:, k:-k, : -2 * k]
    dx, dy, dz = points[:, 2 * k :, k:-k] - points[:, : -2 * k, k:-k]
    x, y, z = dy * az - dz * ay, dz * ax - dx * az, dx * ay - dy * ax
    length = np.sqrt(x * x + y * y + z * z)
    there = part > 0
    whole = there[k:-k, 2 * k :] & there[k:-k, : -2 * k] & there[2 * k :, k:-k] & there[: -2 * k, k:-k]
    whole &= there[k:-k, k:-k] & (length > 0)
    scale = whole / np.maximum(length, 1e-12)
    height, width = whole.shape
    inner = normals[top + k : top + k + height, left + k : left + k + width]
    for axis, component in enumerate((x, y, z)):
        np.multiply(component, scale, out=inner[..., axis])
    return normals


def _box(depth: Array, camera: PinholeCamera, middle: Array) -> tuple[slice, slice]:
    """Rows and columns that a ball of REACH_MM around ``middle`` may cover."""
    height, width = depth.shape
    if any(camera.distortion) or middle[2] <= REACH_MM:
        return slice(0, height), slice(0, width)
    column, row = camera.project(middle[None])[0]
    reach = REACH_MM / (middle[2] - REACH_MM)
    across, down = camera.fx * reach, camera.fy * reach
    rows = slice(max(int(row - down), 0), min(int(row + down) + 2, height))
    return rows, slice(max(int(column - across), 0), min(int(column + across) + 2, width))
