"""A rigid face and a depth map: how well does it lie there, and where does it come to rest?

Many guesses of the pose are moved at once: the arithmetic of one is too little to be worth a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import AnyArray, Array, crossed
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_sampling import depth_at
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose

ALIGNMENT_POINTS = 220
INLIER_MM = 8.0
BEHIND_MM = 25.0
"""A model point so far in front of the measured surface stands in free space: the camera would have seen
it.
"""
MIN_FACING = 0.2
MIN_USED = 20
WIDE_GATE_MM, NARROW_GATE_MM, NARROWING_MM = 40.0, 10.0, 4.0
CAUCHY_MM = 6.0
MOUTH_MM = -25.0
"""Height in the head frame below which the face moves with the jaw: left out, so that an open mouth does no
harm.
"""
PRIOR = np.diag([100.0**2] * 3 + [1.0] * 3) * 0.02
"""Weak: it keeps a nearly spherical or flat view from sliding and spinning."""


@dataclass(frozen=True, slots=True)
class Guesses:
    """G head poses. rotations: (G, 3, 3), translations: (G, 3) mm; as in ``HeadPose``."""

    rotations: Array
    translations: Array

    @classmethod
    def of(cls, poses: Sequence[HeadPose]) -> Guesses:
        """At least one."""
        return cls(np.stack([p.rotation for p in poses]), np.stack([p.translation for p in poses]))

    def take(self, rows: AnyArray) -> Guesses:
        """The chosen ones, in that order."""
        return Guesses(self.rotations[rows], self.translations[rows])

    def poses(self) -> list[HeadPose]:
        """Each by itself."""
        return [HeadPose(r, t) for r, t in zip(self.rotations, self.translations, strict=True)]


@dataclass(frozen=True, slots=True)
class RigidFace:
    """Points (N, 3) mm of a face in the head frame, and their normals, before a depth map (H, W) mm."""

    points: Array
    normals: Array
    depth: Array
    camera: PinholeCamera

    @classmethod
    def mean_of(cls, model: MorphableModel, depth: Array, camera: PinholeCamera) -> RigidFace:
        """The mean face above the mouth."""
        every = max(1, len(model.surface) // ALIGNMENT_POINTS)
        chosen = model.surface[::every]
        chosen = chosen[model.vertices.mean[chosen, 1] > MOUTH_MM]
        return cls(model.vertices.mean[chosen], model.vertices.normals[chosen], depth, camera)

    def scores(self, guesses: Guesses, scale: float = INLIER_MM) -> Array:
        """(G,) share of the camera-facing points that lie on the measured surface, within ``scale`` mm, less
        those in free space; at most 1.
        """
        _, points, _, facing = self._placed(guesses)
        depth, seen = self._measured(points)
        gap = depth - points[..., 2]
        visible = facing > MIN_FACING
        on = np.where(seen & visible, np.maximum(0.0, 1.0 - (gap / scale) ** 2), 0.0)
        free = seen & visible & (gap > BEHIND_MM)
        # A turned head shows fewer points; a pose that hides most of the face must not win by the few that
        # remain.
        counted = np.maximum(visible.sum(axis=1), 0.7 * len(self.points))
        return np.asarray((on.sum(axis=1) - free.sum(axis=1)) / counted)

    def aligned(self, guesses: Guesses, rounds: Iterable[int]) -> Guesses:
        """Point-to-plane alignment by Gauss-Newton with Cauchy weights, and a gate that narrows with the
        number of the round. A guess that loses the surface stays where it lost it.
        """
        going = np.ones(len(guesses.rotations), dtype=bool)
        for number in rounds:
            around, points, normals, facing = self._placed(guesses)
            depth, seen = self._measured(points)
            ahead = np.where(seen, points[..., 2], 1.0)
            residual = np.where(seen, _dot(normals, points) * (depth / ahead - 1.0), np.inf)
            gate = max(NARROW_GATE_MM, WIDE_GATE_MM - NARROWING_MM * number)
            used = (facing > MIN_FACING) & (np.abs(residual) < gate)
            residual = np.where(used, residual, 0.0)
            going &= used.sum(axis=1) >= MIN_USED
            weight = used / (1.0 + (residual / CAUCHY_MM) ** 2)
            jacobian = np.concatenate([crossed(around, normals), normals], axis=2)
            weighted = (jacobian * weight[..., None]).transpose(0, 2, 1)
            step = np.linalg.solve(weighted @ jacobian + PRIOR, weighted @ residual[..., None])[..., 0]
            going &= np.isfinite(step).all(axis=1)
            if not going.any():
                break
            step = np.where(going[:, None], step, 0.0)
            guesses = Guesses(_rotations(step[:, :3]) @ guesses.rotations, guesses.translations + step[:, 3:])
        return guesses

    def _placed(self, guesses: Guesses) -> tuple[Array, Array, Array, Array]:
        """(G, N, 3) points about the head's origin, points and normals in the camera frame; (G, N) cosine
        between normals and the line of sight.
        """
        turned = guesses.rotations.transpose(0, 2, 1)
        around, normals = self.points @ turned, self.normals @ turned
        points = around + guesses.translations[:, None]
        distance = np.maximum(np.sqrt(_dot(points, points)), 1e-9)
        return around, points, normals, -_dot(normals, points) / distance

    def _measured(self, points: Array) -> tuple[Array, AnyArray]:
        depth, seen = depth_at(self.depth, self.camera, points.reshape(-1, 3))
        return depth.reshape(points.shape[:2]), seen.reshape(points.shape[:2])


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2])


def _rotations(vectors: Array) -> Array:
    """(G, 3, 3) by Rodrigues' formula, of rotation vectors (G, 3) in radians."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    k = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors.T
    k[:, 0, 1], k[:, 0, 2], k[:, 1, 2] = -z, y, -x
    k -= k.transpose(0, 2, 1).copy()
    sine, versine = np.sinc(angle / np.pi), 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.asarray(np.eye(3) + sine * k + versine * (k @ k))
