"""The 62 numbers: an affine camera (12), identity (40) and expression (10) of the Basel model. numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COUNT = 62
CAMERA, IDENTITY, EXPRESSION = slice(0, 12), slice(12, 52), slice(52, 62)


@dataclass(frozen=True)
class Parameters:
    """camera: (3, 4), crop pixels from micrometers. identity: (40,). expression: (10,)."""

    camera: np.ndarray
    identity: np.ndarray
    expression: np.ndarray

    @classmethod
    def of(cls, raw: np.ndarray, mean: np.ndarray, std: np.ndarray) -> Parameters:
        """From the network's output (62,) and the whitening that it was trained with."""
        flat = raw * std + mean
        return cls(flat[CAMERA].reshape(3, 4), flat[IDENTITY], flat[EXPRESSION])

    @property
    def flat(self) -> np.ndarray:
        """(62,) again."""
        return np.concatenate([self.camera.reshape(-1), self.identity, self.expression])

    @property
    def translation(self) -> np.ndarray:
        """(3,) crop pixels; the third says nothing."""
        return self.camera[:, 3]


def scale_and_rotation(camera: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean length of the first two rows of a (3, 4) camera, and (3, 3) those rows with their cross product.

    The rows are of unit length but only nearly orthogonal.
    """
    lengths = np.linalg.norm(camera[:2, :3], axis=1)
    first, second = camera[:2, :3] / lengths[:, None]
    return float(lengths.mean()), np.stack([first, second, np.cross(first, second)])


def yaw_pitch_roll(rotation: np.ndarray) -> tuple[float, float, float]:
    """Degrees, by the original's convention."""
    if abs(rotation[2, 0]) >= 1.0:  # looking along the shoulder: pitch and roll turn about the same axis
        sign = float(np.sign(rotation[2, 0]))
        return 90.0 * sign, float(np.degrees(np.arctan2(sign * rotation[0, 1], sign * rotation[0, 2]))), 0.0
    yaw = np.arcsin(rotation[2, 0])
    pitch = np.arctan2(rotation[2, 1] / np.cos(yaw), rotation[2, 2] / np.cos(yaw))
    roll = np.arctan2(rotation[1, 0] / np.cos(yaw), rotation[0, 0] / np.cos(yaw))
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))
