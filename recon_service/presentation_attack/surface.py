"""One face as a depth camera and its picture see it: what all measures look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import FaceLandmarks
from recon_service.presentation_attack.face_points import EYES, OUTLINE

FACEMESH = "facemesh468"
OUTLINE_SHARE = 0.92
"""The outline is drawn in by so much: at the edge of a face depth is lost, and landmarks lie beside it."""
EYE_REACH = 1.1
"""What is left out around an eye, in distances between its corners: holes cut for eyes are inside."""
MOST_POINTS = 1500
FRACTION_BITS = 3


@dataclass(frozen=True, slots=True)
class FaceSurface:
    """raw: (H, W) mm as measured, 0 where nothing was. clean: the same after cleaning. landmarks: scheme
    facemesh468, of the aligned picture or, without one, of the mean face at the pose found. outline: (H, W),
    inside the face. skin: (P, 3) mm, camera frame: cleaned points inside the face without the eyes, at most
    1,500 of them, in a frame of their own: z along the normal of their plane, toward the camera.
    from_picture: whether the landmarks were seen; where they are only expected, single places on the face are
    not known well enough to judge them.
    """

    raw: Array
    clean: Array
    camera: PinholeCamera
    landmarks: FaceLandmarks
    outline: NDArray[np.bool_]
    skin: Array
    from_picture: bool = True

    def lifted(self, indices: Sequence[int], *, radius: int, percentile: float = 50.0) -> Array | None:
        """(n, 3) mm: landmarks at the measured depth around them; None if one of them has none."""
        points = [self._lifted(self.landmarks.points[i], radius, percentile) for i in indices]
        return None if any(p is None for p in points) else np.stack([p for p in points if p is not None])

    def _lifted(self, place: Array, radius: int, percentile: float) -> Array | None:
        column, row = np.rint(place).astype(int)
        height, width = self.raw.shape
        if not (0 <= column < width and 0 <= row < height):
            return None
        around = self.raw[
            max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1
        ]
        measured = around[around > 0]
        if len(measured) < 3:
            return None
        depth = float(np.percentile(measured, percentile))
        return np.asarray(self.camera.rays(np.asarray(place, dtype=np.float64)[None])[0] * depth)


def face_surface(
    raw: Array, clean: Array, camera: PinholeCamera, landmarks: FaceLandmarks, *, from_picture: bool = True
) -> FaceSurface:
    """Raises InvalidValue for landmarks of another scheme or without an extent in the picture."""
    if landmarks.scheme != FACEMESH:
        raise InvalidValue(f"presentation attacks are looked for with {FACEMESH}, not {landmarks.scheme}")
    outline = _filled(landmarks.points[list(OUTLINE)], raw.shape)
    if not outline.any():
        raise InvalidValue("the face lies outside the depth map")
    skin = outline.astype(np.uint8)
    for corners in EYES:
        outer, inner = landmarks.points[list(corners)]
        center = np.rint((outer + inner) / 2).astype(int)
        reach = max(EYE_REACH * float(np.linalg.norm(outer - inner)), 2.0)
        cv2.circle(skin, (int(center[0]), int(center[1])), round(reach), 0, -1)
    rows, columns = np.nonzero((skin > 0) & (clean > 0))
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), MOST_POINTS)).astype(np.int64)
    rows, columns = rows[chosen], columns[chosen]
    pixels = np.stack([columns, rows], axis=1).astype(np.float64)
    points = camera.rays(pixels) * clean[rows, columns][:, None]
    return FaceSurface(raw, clean, camera, landmarks, outline, _in_own_frame(points), from_picture)


def _filled(polygon: Array, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    center = polygon.mean(axis=0)
    inner = np.clip(center + OUTLINE_SHARE * (polygon - center), -1e4, 1e4)
    mask = np.zeros(shape, np.uint8)
    corners = np.rint(inner * 2**FRACTION_BITS).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1, shift=FRACTION_BITS)
    return np.asarray(mask > 0)


def _in_own_frame(points: Array) -> Array:
    if len(points) < 3:
        return np.zeros((0, 3))
    centered = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centered.T @ centered)
    normal = axes[:, 0] if axes[2, 0] < 0 else -axes[:, 0]
    across = np.array([1.0, 0.0, 0.0]) - normal[0] * normal
    across /= max(float(np.linalg.norm(across)), 1e-9)
    return np.asarray(centered @ np.stack([across, np.cross(normal, across), normal], axis=1))
