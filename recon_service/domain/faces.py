"""Faces that were found in an image, and the landmarks on them. All coordinates are pixels of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """One face.

    box: (left, top, right, bottom), may reach beyond the image. score: 0 to 1. keypoints: (M, 2) float64 of
    the detector's own scheme (MediaPipe short range: right eye, left eye, nose tip, mouth center, right
    ear, left ear; right is the subject's).
    """

    box: tuple[float, float, float, float]
    score: float
    keypoints: Array

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (right > left and bottom > top):
            raise InvalidValue(
                f"a face box must have a positive size, not {right - left:g} x {bottom - top:g}"
            )
        if not 0.0 <= self.score <= 1.0:
            raise InvalidValue(f"a detection score lies between 0 and 1, not {self.score:g}")
        finite(shaped(self.keypoints, "keypoints", None, 2), "keypoints")

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


@dataclass(frozen=True, slots=True)
class FaceLandmarks:
    """Landmarks of one face by one landmark detector.

    scheme: the meaning of the rows, "facemesh468" or "ibug68". points: (N, 2) float64 pixels. depth: (N,)
    float64, relative depth in pixels toward the background, or None. presence: 0 to 1 (saturates near 1: no
    measure of quality).
    """

    scheme: str
    points: Array
    presence: float
    depth: Array | None = None

    def __post_init__(self) -> None:
        count = {"facemesh468": 468, "ibug68": 68}.get(self.scheme)
        if count is None:
            raise InvalidValue(f"unknown landmark scheme {self.scheme!r}")
        finite(shaped(self.points, "landmarks", count, 2), "landmarks")
        if self.depth is not None:
            finite(shaped(self.depth, "landmark depth", count), "landmark depth")
        if not np.isfinite(self.presence):
            raise InvalidValue("landmark presence must be finite")
