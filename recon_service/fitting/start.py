"""Where a fit starts: the head pose from landmarks alone, with the mean face."""

from __future__ import annotations

import cv2
import numpy as np

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import FitFailed
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.pose import HeadPose, nearest_rotation, rotation_from_vector


def pose_from_landmarks(landmarks: FaceLandmarks, camera: PinholeCamera, model: LandmarkModel) -> HeadPose:
    """Perspective-n-point with the mean apparent landmarks (SQPnP, then Levenberg-Marquardt on the
    reprojection error).
    """
    rows = np.flatnonzero(model.usable)
    shape = np.ascontiguousarray(model.points.mean[rows])
    rays = np.ascontiguousarray(camera.rays(landmarks.points[rows])[:, :2])
    identity = np.eye(3)
    found, rotation, translation = cv2.solvePnP(shape, rays, identity, None, flags=cv2.SOLVEPNP_SQPNP)
    if found:
        rotation, translation = cv2.solvePnPRefineLM(shape, rays, identity, None, rotation, translation)
    if not found or not np.isfinite(translation).all() or translation[2, 0] <= 0:
        raise FitFailed(
            "The landmarks fit no head pose.", next_step="Take the picture again, facing the camera."
        )
    turn, shift = rotation[:, 0].astype(np.float64), translation[:, 0].astype(np.float64)
    return HeadPose(nearest_rotation(rotation_from_vector(turn)), shift)
