"""How noisy each depth camera is at a face, and how many independent measurements a face leaves."""

from __future__ import annotations

from dataclasses import dataclass

GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class SensorNoise:
    """sd: standard deviation in mm of a cleaned pixel. effective_points: independent measurements on a
    whole face.
    """

    sd: float
    effective_points: float


SENSORS = {
    GENERIC: SensorNoise(sd=1.0, effective_points=800.0),
    "kinect2": SensorNoise(sd=1.0, effective_points=800.0),
}


def noise_of(camera_name: str) -> SensorNoise:
    """The parameters of a camera, or the generic ones."""
    return SENSORS.get(camera_name, SENSORS[GENERIC])
