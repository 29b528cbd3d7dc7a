"""The pinhole camera of the encoder's input."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from third_party.faceverse.model import head_rotation

FOCAL: Final = 1000.0
CENTER: Final = 127.5
DISTANCE: Final = 10.0
"""Of the camera from the origin of the model, in model units."""

Floats = NDArray[np.float64]


def to_camera(points: Floats, angles: Floats, translation: Floats) -> Floats:
    """(N, 3) model points in the camera frame, model units (x right, y down, z forward)."""
    return points @ head_rotation(angles).T + translation + np.array([0.0, 0.0, DISTANCE])


def to_input(points: Floats) -> Floats:
    """(N, 2) pixels of the 256-pixel input of points (N, 3) in the camera frame."""
    return points[:, :2] / points[:, 2:3] * FOCAL + CENTER
