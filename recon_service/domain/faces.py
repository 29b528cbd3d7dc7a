"""Faces that were found in an image, and the landmarks on them. All coordinates are pixels of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.errors import InvalidValue
from recon_service.domain.landmark_schemes import LEFT_EYE, RIGHT_EYE, scheme_named


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """One face.

    box: (left, top, right, bottom), may reach beyond the image. score: 0 to 1. keypoints: (M, 2) float64 of
    the detector's own scheme, see ``landmark_schemes``.
    """

    box: tuple[float, float, float, float]
    score: float
    keypoints: Array
    scheme: str = "mediapipe6"

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (right > left and bottom > top):
            raise InvalidValue(
                f"a face box must have a positive size, not {right - left:g} x {bottom - top:g}"
            )
        if not 0.0 <= self.score <= 1.0:
            raise InvalidValue(f"a detection score lies between 0 and 1, not {self.score:g}")
        finite(shaped(self.keypoints, "keypoints", scheme_named(self.scheme).count, 2), "keypoints")

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def eyes(self) -> tuple[Array, Array] | None:
        """Right and left eye, (2,) each; None where the detector gives no landmarks."""
        scheme = scheme_named(self.scheme)
        right, left = scheme.place(self.keypoints, RIGHT_EYE), scheme.place(self.keypoints, LEFT_EYE)
        return (right, left) if right is not None and left is not None else None


@dataclass(frozen=True, slots=True)
class FaceLandmarks:
    """Landmarks of one face by one landmark detector.

    scheme: the meaning of the rows, see ``landmark_schemes``. points: (N, 2) float64 pixels. depth: (N,)
    float64, relative depth in pixels toward the background, or None. presence: 0 to 1 (saturates near 1: no
    measure of quality).
    """

    scheme: str
    points: Array
    presence: float
    depth: Array | None = None

    def __post_init__(self) -> None:
        count = scheme_named(self.scheme).count
        finite(shaped(self.points, "landmarks", count, 2), "landmarks")
        if self.depth is not None:
            finite(shaped(self.depth, "landmark depth", count), "landmark depth")
        if not np.isfinite(self.presence):
            raise InvalidValue("landmark presence must be finite")
