"""The thresholds of the gate, for one use of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from recon_service.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Where a picture begins to be refused (min, max) and where it is as it should be (good). Defaults:
    enrollment by selfies.

    eye_distance: pixels between the centers of the eyes. sharpness: see ``quality/sharpness.py``. brightness:
    mean luma of the face, 0 to 255, kept wide because skin is of every shade. clipped: share of the face's
    pixels at the end of the range. yaw, pitch, roll: degrees to either side; yaw is generous because several
    views carry the shape. in_frame: share of the landmarks inside the picture. second_face: height of another
    face over the height of the main one. presence: the landmark network's own.
    """

    min_eye_distance_px: float = 30.0
    good_eye_distance_px: float = 60.0
    min_sharpness: float = 0.15
    good_sharpness: float = 0.19
    min_brightness: float = 20.0
    good_brightness: float = 45.0
    max_brightness: float = 235.0
    good_max_brightness: float = 215.0
    max_clipped: float = 0.30
    good_clipped: float = 0.12
    max_yaw_deg: float = 50.0
    good_yaw_deg: float = 38.0
    max_pitch_deg: float = 40.0
    good_pitch_deg: float = 28.0
    max_roll_deg: float = 50.0
    good_roll_deg: float = 30.0
    min_in_frame: float = 0.93
    good_in_frame: float = 0.99
    max_second_face: float = 0.5
    min_presence: float = 0.5

    def __post_init__(self) -> None:
        pairs = {
            "eye_distance": (0, self.min_eye_distance_px, self.good_eye_distance_px),
            "sharpness": (0, self.min_sharpness, self.good_sharpness),
            "brightness": (
                0,
                self.min_brightness,
                self.good_brightness,
                self.good_max_brightness,
                self.max_brightness,
                255,
            ),
            "clipped": (0, self.good_clipped, self.max_clipped, 1),
            "yaw": (0, self.good_yaw_deg, self.max_yaw_deg, 90),
            "pitch": (0, self.good_pitch_deg, self.max_pitch_deg, 90),
            "roll": (0, self.good_roll_deg, self.max_roll_deg, 180),
            "in_frame": (0, self.min_in_frame, self.good_in_frame, 1),
            "second_face": (0, self.max_second_face, 1e9),
            "presence": (0, self.min_presence, 1),
        }
        for name, values in pairs.items():
            if any(not low < high for low, high in pairwise(values)):
                raise InvalidValue(
                    f"the quality limits of {name} are out of order or out of range",
                    next_step="Check the quality limits in the settings.",
                )
