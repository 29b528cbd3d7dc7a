"""How far the nose stands out. Taken from the measured depth itself: cleaning takes the steps away at which a
nose begins.
"""

from __future__ import annotations

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.presentation_attack.face_points import CHEEKS_AND_FOREHEAD, EYES, MOUTH_CORNERS, NOSE_TIP
from recon_service.presentation_attack.surface import FaceSurface

AROUND_PX = 2
TIP_PX = 1
NEAR_PERCENTILE = 25.0
FACE_WIDTH_PX = 70.0
"""Windows are those of a face of this width, and grow with it."""


def nose_protrusion(face: FaceSurface) -> float | None:
    """How far the tip is above the plane of the corners of eyes and mouth, or above that of cheeks, forehead
    and mouth, whichever is less (mm): holes cut for the eyes lower the one and not the other. None without
    depth there.
    """
    eyes = (*EYES[0], *EYES[1], *MOUTH_CORNERS)
    heights = [_height(face, anchors) for anchors in (eyes, (*CHEEKS_AND_FOREHEAD, *MOUTH_CORNERS))]
    known = [height for height in heights if height is not None]
    return min(known) if known else None


def _height(face: FaceSurface, anchors: tuple[int, ...]) -> float | None:
    scale = max(float(np.ptp(face.landmarks.points[:, 0])) / FACE_WIDTH_PX, 1.0)
    around = face.lifted(anchors, radius=round(AROUND_PX * scale))
    if around is None:
        return None
    radius = round(TIP_PX * scale)
    lifted = [face.lifted((index,), radius=radius, percentile=NEAR_PERCENTILE) for index in NOSE_TIP]
    tips = [tip[0] for tip in lifted if tip is not None]
    if not tips:
        return None
    center, normal = _plane(around)
    return float(max((tip - center) @ normal for tip in tips))


def _plane(points: Array) -> tuple[Array, Array]:
    """A point, and the normal toward the camera."""
    center = points.mean(axis=0)
    normal = np.linalg.svd(points - center)[2][2]
    return center, np.asarray(normal if normal[2] < 0 else -normal)
