"""A face and a depth map: how well does it lie there, and where does it come to rest?

The face is the mean face, or one that takes the person's shape on in a few leading modes while it moves:
where a head is small, or long, the mean face lies as well on a cheek as on the face.
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
SHAPE_MODES = 10
"""Leading identity modes in which the face gives way: size, width, profile."""
ROUGHLY_MM, CLOSELY_MM, EXACTLY_MM = 16.0, 6.0, 4.0
"""Distances at which a point no longer counts as lying on the surface: for first guesses, afterwards, and
between faces that have taken the person's shape on.
"""
BEHIND_MM = 25.0
"""A model point so far in front of the measured surface stands in free space: the camera would have seen
it.
"""
LEAST_SHARE, LEAST_OF_MOST = 0.5, 0.9
"""Shares of the face, and of what the guess that shows most of it shows, by which scores and ranks are
divided at least: a pose that hides most of the face, or lies where nothing was measured, must not win by the
few points that remain.
"""
MIN_FACING = 0.2
MIN_USED = 20
WIDE_GATE_MM, NARROW_GATE_MM, NARROWING_MM = 40.0, 10.0, 4.0
CAUCHY_MM = 6.0
MOUTH_MM = -25.0
"""Height in the head frame below which the face moves with the jaw: left out, so that an open mouth does no
harm.
"""
POSE_PRIOR = np.array([100.0**2] * 3 + [1.0] * 3) * 0.02
"""Weak: it keeps a nearly spherical or flat view from sliding and spinning."""
SHAPE_PRIOR_MM2 = 8.0
"""Squared millimetres that one squared standard deviation of a mode weighs as much as: what the points are
off by, over those that move together.
"""


@dataclass(frozen=True, slots=True)
class Guesses:
    """G faces. rotations: (G, 3, 3), translations: (G, 3) mm; as in ``HeadPose``. shapes: (G, SHAPE_MODES)
    leading identity coefficients.
    """

    rotations: Array
    translations: Array
    shapes: Array

    @classmethod
    def placed(cls, rotations: Array, translations: Array) -> Guesses:
        """Mean faces at these places."""
        return cls(rotations, translations, np.zeros((len(rotations), SHAPE_MODES)))

    @classmethod
    def of(cls, poses: Sequence[HeadPose]) -> Guesses:
        """Mean faces; at least one."""
        return cls.placed(np.stack([p.rotation for p in poses]), np.stack([p.translation for p in poses]))

    def take(self, rows: AnyArray) -> Guesses:
        """The chosen ones, in that order."""
        return Guesses(self.rotations[rows], self.translations[rows], self.shapes[rows])

    def poses(self) -> list[HeadPose]:
        """Each by itself."""
        return [HeadPose(r, t) for r, t in zip(self.rotations, self.translations, strict=True)]


@dataclass(frozen=True, slots=True)
class FaceOnDepth:
    """Points (N, 3) mm of the mean face in the head frame, how they move with the leading identity modes
    (N, 3, SHAPE_MODES), and their normals (N, 3), before a depth map (H, W) mm.
    """

    points: Array
    modes: Array
    normals: Array
    depth: Array
    camera: PinholeCamera

    @classmethod
    def of(cls, model: MorphableModel, depth: Array, camera: PinholeCamera) -> FaceOnDepth:
        """The face above the mouth."""
        every = max(1, len(model.surface) // ALIGNMENT_POINTS)
        chosen = model.surface[::every]
        face = model.vertices
        chosen = chosen[face.mean[chosen, 1] > MOUTH_MM]
        modes = np.ascontiguousarray(face.identity[chosen][:, :, :SHAPE_MODES])
        return cls(face.mean[chosen], modes, face.normals[chosen], depth, camera)

    def scores(self, guesses: Guesses, scale: float = CLOSELY_MM) -> Array:
        """(G,) of the points that face the camera and a measured surface, the share that lies on it, within
        ``scale`` mm, less those in free space; at most 1.
        """
        lying, shown = self._lying(guesses, scale)
        return lying / np.maximum(shown, LEAST_SHARE * len(self.points))

    def ranks(self, guesses: Guesses) -> Array:
        """(G,) the higher the better, of guesses that have come to rest. It says nothing about one by itself:
        who shows less of what was measured than another must lie better on it.
        """
        lying, shown = self._lying(guesses, EXACTLY_MM)
        return lying / np.maximum(shown, max(1.0, LEAST_OF_MOST * shown.max()))

    def _lying(self, guesses: Guesses, scale: float) -> tuple[Array, Array]:
        """(G,) points on the measured surface less those in free space, and (G,) points that face it."""
        _, points, _, facing = self._placed(guesses)
        depth, seen = self._measured(points)
        gap = depth - points[..., 2]
        visible = seen & (facing > MIN_FACING)
        on = np.where(visible, np.maximum(0.0, 1.0 - (gap / scale) ** 2), 0.0)
        free = visible & (gap > BEHIND_MM)
        return on.sum(axis=1) - free.sum(axis=1), visible.sum(axis=1).astype(np.float64)

    def aligned(self, guesses: Guesses, rounds: Iterable[int], *, shape: bool = False) -> Guesses:
        """Point-to-plane alignment by Gauss-Newton with Cauchy weights, and a gate that narrows with the
        number of the round. shape: the face gives way in its leading modes too. A guess that loses the
        surface stays where it lost it.
        """
        going = np.ones(len(guesses.rotations), dtype=bool)
        along = np.einsum("ni,nik->nk", self.normals, self.modes)
        prior = np.concatenate([POSE_PRIOR, np.full(SHAPE_MODES if shape else 0, SHAPE_PRIOR_MM2)])
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
            moved = [crossed(around, normals), normals]
            if shape:
                moved.append(np.broadcast_to(along, (len(normals), *along.shape)))
            jacobian = np.concatenate(moved, axis=2)
            weighted = (jacobian * weight[..., None]).transpose(0, 2, 1)
            pull = (weighted @ residual[..., None])[..., 0]
            if shape:
                pull[:, 6:] -= SHAPE_PRIOR_MM2 * guesses.shapes
            solved = np.linalg.solve(weighted @ jacobian + np.diag(prior), pull[..., None])[..., 0]
            going &= np.isfinite(solved).all(axis=1)
            if not going.any():
                break
            step = np.where(going[:, None], solved, 0.0).astype(np.float64)
            guesses = Guesses(
                _rotations(step[:, :3]) @ guesses.rotations,
                guesses.translations + step[:, 3:6],
                guesses.shapes + step[:, 6:] if shape else guesses.shapes,
            )
        return guesses

    def _placed(self, guesses: Guesses) -> tuple[Array, Array, Array, Array]:
        """(G, N, 3) points about the head's origin, points and normals in the camera frame; (G, N) cosine
        between normals and the line of sight. The normals stay those of the mean face.
        """
        turned = guesses.rotations.transpose(0, 2, 1)
        shaped = self.points
        if guesses.shapes.any():
            moved = guesses.shapes @ self.modes.reshape(-1, SHAPE_MODES).T
            shaped = shaped + moved.reshape(-1, *shaped.shape)
        around, normals = shaped @ turned, self.normals @ turned
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
