"""How the head is turned: yaw, pitch and roll."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.facemesh_points import CHIN, MIRRORED_PAIRS, TOP_OF_FACE, spatial_points
from recon_service.quality.limits import QualityLimits
from recon_service.quality.scale import Scale, measure

YAW_RESPONSE: Final = 0.82
"""The network flattens the face: degrees of yaw in its depth per degree of the head. Measured on 11 people
(396 frames up to 30 degrees) against the rotation of their landmarks in a depth camera's frame: 0.64 to 0.90,
correlation 0.99. Pitch: 0.85 to 1.27.
"""


@dataclass(frozen=True, slots=True)
class HeadAngles:
    """Degrees, zero for a head that looks straight at the camera.

    yaw_deg: positive when the person turned to their own left. pitch_deg: positive when the person looks up.
    roll_deg: positive when the head leans to the person's own right shoulder, which is counterclockwise in
    the picture.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


def head_angles(landmarks: FaceLandmarks) -> HeadAngles:
    """The angles in closed form from the network's own depth.

    The head's x axis is the sum of the differences of mirrored pairs, its y axis runs from the chin to the
    top of the face, made orthogonal to x. The rotation is read as roll (in the picture) after yaw after
    pitch, so that turning the picture changes the roll alone, and mirroring it changes the signs of yaw and
    roll.
    """
    # To a right-handed frame in which a frontal head is the identity: x to the subject's left, y up, z toward
    # the viewer.
    points = spatial_points(landmarks) * [1.0, -1.0, -1.0]
    right, left = np.array(MIRRORED_PAIRS).T
    x = (points[left] - points[right]).sum(axis=0)
    x = x / max(float(np.linalg.norm(x)), 1e-9)
    y = points[TOP_OF_FACE] - points[CHIN]
    y = y - (y @ x) * x
    y = y / max(float(np.linalg.norm(y)), 1e-9)
    z = np.cross(x, y)
    return HeadAngles(
        yaw_deg=float(np.degrees(np.arcsin(np.clip(-x[2], -1.0, 1.0)))) / YAW_RESPONSE,
        pitch_deg=float(np.degrees(-np.arctan2(y[2], z[2]))),
        roll_deg=float(np.degrees(np.arctan2(x[1], x[0]))),
    )


def yaw(angles: HeadAngles, *, limits: QualityLimits) -> QualityMeasure:
    """raw: degrees, positive to the person's own left."""
    hint = f"Turn your head a little to the {'right' if angles.yaw_deg > 0 else 'left'}."
    code = f"turned-{'left' if angles.yaw_deg > 0 else 'right'}"
    return _angle("yaw", angles.yaw_deg, limits.good_yaw_deg, limits.max_yaw_deg, hint, code)


def pitch(angles: HeadAngles, *, limits: QualityLimits) -> QualityMeasure:
    """raw: degrees, positive upward."""
    hint = "Lower your chin a little." if angles.pitch_deg > 0 else "Raise your chin a little."
    code = "chin-up" if angles.pitch_deg > 0 else "chin-down"
    return _angle("pitch", angles.pitch_deg, limits.good_pitch_deg, limits.max_pitch_deg, hint, code)


def roll(angles: HeadAngles, *, limits: QualityLimits) -> QualityMeasure:
    """raw: degrees, positive to the person's own right shoulder."""
    return _angle(
        "roll",
        angles.roll_deg,
        limits.good_roll_deg,
        limits.max_roll_deg,
        "Hold your head and the phone upright.",
        "tilted",
    )


def _angle(name: str, raw: float, good: float, largest: float, hint: str, code: str) -> QualityMeasure:
    scale = Scale(2 * largest, largest, good, 0.0)
    return measure(name, raw, "degrees", scale.score(abs(raw)), hint, code=code)
