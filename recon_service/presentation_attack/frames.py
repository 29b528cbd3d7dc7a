"""What several frames of one visit say together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.presentation_attack.surface import FaceSurface

LEAST_COMMON = 100


def least_change(faces: Sequence[FaceSurface]) -> float | None:
    """Share of the face's pixels whose measured depth differs between the two frames most alike: a sensor
    never measures the same twice, so frames that agree to the bit were recorded and played back. None for a
    single frame.
    """
    shares = [
        float((one.raw != other.raw)[one.outline | other.outline].mean())
        for one, other in combinations(faces, 2)
        if one.raw.shape == other.raw.shape
    ]
    return min(shares) if shares else None


def deformation(faces: Sequence[FaceSurface]) -> float | None:
    """Root mean square in mm by which the landmarks of the frames differ after the best rigid motion: the
    sensor's noise for a mask or somebody who holds still, more for somebody who speaks. Told, not judged: a
    still face is no attack. None for a single frame or too little depth.
    """
    clouds = [_landmark_cloud(face) for face in faces]
    found = []
    for one, other in combinations(clouds, 2):
        both = np.isfinite(one[:, 0]) & np.isfinite(other[:, 0])
        if both.sum() >= LEAST_COMMON:
            found.append(_rigid_residual(one[both], other[both]))
    return float(np.median(found)) if found else None


def _landmark_cloud(face: FaceSurface) -> Array:
    """(468, 3) mm, NaN where nothing was measured."""
    height, width = face.clean.shape
    columns, rows = np.rint(face.landmarks.points).astype(np.int64).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    depth = np.where(inside, face.clean[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)], 0.0)
    return np.asarray(face.camera.rays(face.landmarks.points) * np.where(depth > 0, depth, np.nan)[:, None])


def _rigid_residual(one: Array, other: Array) -> float:
    """Kabsch's rotation (Acta Crystallographica A32, 1976), then the root mean square distance."""
    a, b = one - one.mean(axis=0), other - other.mean(axis=0)
    u, _, vt = np.linalg.svd(a.T @ b)
    turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    return float(np.sqrt(np.square(a @ turn - b).sum(axis=1).mean()))
