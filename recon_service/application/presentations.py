"""Depth frames of a visit -> is a face before the camera, or a picture of one?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recon_service.application.pipeline import FacePipeline
from recon_service.depth.cleaning import clean_depth
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.pose import HeadPose
from recon_service.domain.presentation import PresentationResult
from recon_service.presentation_attack import FaceSurface, assess, face_surface


def presentation(
    seen: Sequence[tuple[DepthFrame, FaceLandmarks]], pipeline: FacePipeline
) -> PresentationResult:
    """What the frames with the landmarks of their faces say together. Nothing is measured on a frame whose
    face lies outside the depth map, or without limits.
    """
    if pipeline.presentation_limits is None:
        return PresentationResult(())
    faces: list[FaceSurface] = []
    for frame, landmarks in seen:
        try:
            clean = clean_depth(frame.depth)
            faces.append(
                face_surface(
                    frame.depth, clean, frame.camera, landmarks, from_picture=frame.image is not None
                )
            )
        except InvalidValue:
            continue
    return assess(faces, limits=pipeline.presentation_limits)


def expected_landmarks(pose: HeadPose, camera: PinholeCamera, pipeline: FacePipeline) -> FaceLandmarks | None:
    """Where the mean face at this pose has its landmarks: for frames that come without a picture. None if
    it would reach behind the camera.
    """
    points = pose.apply(pipeline.landmark_model.points.mean)
    if (points[:, 2] <= 1.0).any():
        return None
    depth = camera.fx * (points[:, 2] / np.median(points[:, 2]) - 1.0)
    return FaceLandmarks(pipeline.landmark_model.scheme, camera.project(points), presence=0.0, depth=depth)
