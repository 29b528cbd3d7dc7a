"""Rotations and rigid poses: head frame (x subject's left, y up, z out of the face) to camera frame (x
right, y down, z forward).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.errors import InvalidValue

FRONTAL = np.diag([1.0, -1.0, -1.0])
"""Rotation of a head that looks straight into the camera."""


def rotation_from_vector(vector: Array) -> Array:
    """Rotation matrix (3, 3) of a rotation vector (3,) in radians (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector))
    k = skew(vector)
    if angle < 1e-8:
        return np.asarray(np.eye(3) + k + 0.5 * k @ k)
    return np.asarray(np.eye(3) + np.sin(angle) / angle * k + (1 - np.cos(angle)) / angle**2 * k @ k)


def skew(v: Array) -> Array:
    """The cross-product matrix of v (3,): multiplied with w it gives v x w."""
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


def nearest_rotation(matrix: Array) -> Array:
    """The rotation closest to a (3, 3) matrix in the Frobenius norm (polar decomposition by SVD,
    determinant +1).
    """
    u, _, vt = np.linalg.svd(matrix)
    return np.asarray(u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt)


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Rigid motion x_camera = rotation @ x_head + translation; translation in millimetres."""

    rotation: Array
    translation: Array

    def __post_init__(self) -> None:
        finite(shaped(self.rotation, "rotation", 3, 3), "rotation")
        finite(shaped(self.translation, "translation", 3), "translation")
        if (
            np.abs(self.rotation @ self.rotation.T - np.eye(3)).max() > 1e-6
            or np.linalg.det(self.rotation) < 0
        ):
            raise InvalidValue("a head pose needs a proper rotation (orthonormal, determinant +1)")

    @classmethod
    def from_angles(cls, *, yaw: float, pitch: float, roll: float, translation: Array) -> HeadPose:
        """Pose from degrees: positive yaw turns the head to the subject's left, positive pitch lifts the
        chin, positive roll tilts the head toward the subject's right shoulder. Applied roll first, then
        pitch, then yaw.
        """
        y, p, r = np.deg2rad([yaw, pitch, roll])
        head = (
            rotation_from_vector(np.array([0.0, y, 0.0]))
            @ rotation_from_vector(np.array([-p, 0.0, 0.0]))
            @ rotation_from_vector(np.array([0.0, 0.0, r]))
        )
        return cls(FRONTAL @ head, np.asarray(translation, dtype=np.float64))

    def angles(self) -> tuple[float, float, float]:
        """(yaw, pitch, roll) in degrees, the inverse of ``from_angles``."""
        m = FRONTAL.T @ self.rotation
        pitch = np.arcsin(np.clip(m[1, 2], -1.0, 1.0))
        yaw = np.arctan2(m[0, 2], m[2, 2])
        roll = np.arctan2(m[1, 0], m[1, 1])
        return float(np.rad2deg(yaw)), float(np.rad2deg(pitch)), float(np.rad2deg(roll))

    def apply(self, points: Array) -> Array:
        """Points (N, 3) of the head frame in the camera frame."""
        return np.asarray(points @ self.rotation.T + self.translation)

    def moved(self, rotation_vector: Array, translation: Array) -> HeadPose:
        """The pose after a small motion in the camera frame about the head's origin: exp(w) R, t + dt."""
        turned = rotation_from_vector(rotation_vector) @ self.rotation
        # A product of rotations is one but for rounding, which a step of Newton's iteration for the polar
        # decomposition takes out.
        turned = turned @ (1.5 * np.eye(3) - 0.5 * turned.T @ turned)
        return HeadPose(turned, self.translation + translation)
