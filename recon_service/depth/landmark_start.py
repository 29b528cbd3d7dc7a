"""Where the head is in a depth map, with and without an image."""

from __future__ import annotations

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.pose import HeadPose, nearest_rotation

WINDOW_PX = 2
MIN_VALID = 7
"""Valid pixels of the 5 x 5 window that a lifted landmark needs."""
ROBUST_SCALE_MM = 6.0
ROBUST_ROUNDS = 4
MIN_LANDMARKS = 8

STABLE_ROWS = (
    33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 98, 327, 61, 291, 0, 17,
    152, 105, 334, 55, 285, 117, 346, 10, 151, 9, 8,
)  # fmt: skip
"""FaceMesh landmarks that stay with the bone: eye corners, bridge and tip of the nose, brows, forehead,
cheeks, mouth corners, chin.
"""


def lift(points: Array, depth: Array, camera: PinholeCamera) -> tuple[Array, Array]:
    """3D points (M, 3) mm in the camera frame under landmarks (N, 2) pixels, and the rows (M,) where the
    depth map has a value (the median of the 5 x 5 window).
    """
    height, width = depth.shape
    lifted, rows = [], []
    rays = camera.rays(points)
    for row, (x, y) in enumerate(np.round(points).astype(int)):
        if not (0 <= x < width and 0 <= y < height):
            continue
        window = depth[
            max(y - WINDOW_PX, 0) : y + WINDOW_PX + 1,
            max(x - WINDOW_PX, 0) : x + WINDOW_PX + 1,
        ]
        valid = window[window > 0]
        if len(valid) >= MIN_VALID:
            lifted.append(rays[row] * np.median(valid))
            rows.append(row)
    return np.array(lifted).reshape(-1, 3), np.array(rows, dtype=np.int64)


def pose_from_lifted(
    landmarks: FaceLandmarks, depth: Array, camera: PinholeCamera, model: LandmarkModel
) -> HeadPose | None:
    """The rigid pose that carries the mean apparent landmarks onto the lifted ones (robust orthogonal
    Procrustes), or None when too few landmarks have depth.
    """
    stable = np.array(STABLE_ROWS)
    seen, rows = lift(landmarks.points[stable], depth, camera)
    if len(rows) < MIN_LANDMARKS:
        return None
    mean = model.points.mean[stable[rows]]
    weight = np.ones(len(rows))
    for _ in range(ROBUST_ROUNDS):
        pose = procrustes(mean, seen, weight)
        distance = np.linalg.norm(pose.apply(mean) - seen, axis=1)
        weight = 1.0 / (1.0 + (distance / ROBUST_SCALE_MM) ** 2)
    return pose


def procrustes(source: Array, target: Array, weight: Array) -> HeadPose:
    """The rigid motion that minimizes sum of weight · |R source + t - target|² (Kabsch)."""
    share = weight / weight.sum()
    from_center, to_center = share @ source, share @ target
    rotation = nearest_rotation((target - to_center).T @ (share[:, None] * (source - from_center)))
    return HeadPose(rotation, to_center - rotation @ from_center)
