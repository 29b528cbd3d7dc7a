"""Whether the face is large enough in the picture: distance between the eyes."""

from __future__ import annotations

import numpy as np

from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.facemesh_points import eye_centers
from recon_service.quality.limits import QualityLimits
from recon_service.quality.pose import head_angles
from recon_service.quality.scale import Scale, measure

MAX_FORESHORTENING: float = 0.5


def face_size(landmarks: FaceLandmarks, *, limits: QualityLimits) -> QualityMeasure:
    """raw: pixels between the eyes' centers, as if the face were seen from the front.

    A turned head brings the eyes together in the picture without being farther away: the distance is divided
    by the cosine of the yaw (at most doubled).
    """
    right, left = eye_centers(landmarks)
    yaw = np.radians(head_angles(landmarks).yaw_deg)
    raw = float(np.linalg.norm(left - right)) / max(float(np.cos(yaw)), MAX_FORESHORTENING)
    scale = Scale(
        0.0, limits.min_eye_distance_px, limits.good_eye_distance_px, 2 * limits.good_eye_distance_px
    )
    hint = "Come closer to the camera."
    return measure("face_size", raw, "pixels", scale.score(raw), hint, code="face-too-small")
