"""Depth frames of a visit -> is a face before the camera, or a picture of one?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recon_service.application.computing.appearances import light_of
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.domain.appearance import Light
from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.pose import HeadPose
from recon_service.domain.presentation import PresentationResult
from recon_service.presentation_attack import FaceSurface, assess, face_surface
from recon_service.presentation_attack.minifasnet import bona_fide_share


class SeenFace(NamedTuple):
    """A frame, what ``clean_depth`` made of its depth, and where its face is."""

    frame: DepthFrame
    clean: Array
    landmarks: FaceLandmarks


def presentation(seen: Sequence[SeenFace], pipeline: FacePipeline) -> PresentationResult:
    """What the frames with the landmarks of their faces say together. Nothing is measured on a frame whose
    face lies outside the depth map, or without limits.
    """
    if pipeline.presentation_limits is None:
        return PresentationResult(())
    faces: list[FaceSurface] = []
    for frame, clean, landmarks in seen:
        try:
            faces.append(
                face_surface(
                    frame.depth, clean, frame.camera, landmarks, from_picture=frame.image is not None
                )
            )
        except InvalidValue:
            continue
    return assess(faces, picture=_of_pictures(seen, pipeline), limits=pipeline.presentation_limits)


def _of_pictures(seen: Sequence[SeenFace], pipeline: FacePipeline) -> float | None:
    """Median over the color pictures: the networks know no infrared."""
    shares = []
    for frame, _, landmarks in seen:
        image = frame.image
        if not pipeline.picture_networks or image is None or light_of(image) is not Light.VISIBLE:
            continue
        (left, top), (right, bottom) = landmarks.points.min(axis=0), landmarks.points.max(axis=0)
        box = float(left), float(top), float(right), float(bottom)
        shares.append(bona_fide_share(image, box, pipeline.picture_networks))
    return float(np.median(shares)) if shares else None


def expected_landmarks(pose: HeadPose, camera: PinholeCamera, pipeline: FacePipeline) -> FaceLandmarks | None:
    """Where the mean face at this pose has its landmarks: for frames that come without a picture. None if
    it would reach behind the camera.
    """
    points = pose.apply(pipeline.landmark_model.points.mean)
    if (points[:, 2] <= 1.0).any():
        return None
    depth = camera.fx * (points[:, 2] / np.median(points[:, 2]) - 1.0)
    return FaceLandmarks(pipeline.landmark_model.scheme, camera.project(points), presence=0.0, depth=depth)
