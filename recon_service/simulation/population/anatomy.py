"""What the dense model does not have and a camera sees: eyes, the inside of the mouth, hair and shoulders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.mesh import Mesh
from recon_service.simulation.heads import smooth_field
from recon_service.simulation.population.shape import DenseBasis

EYE_RADIUS_MM = 12.0
EYE_STEPS = (24, 14)
MOUTH_DEPTH_MM = 9.0
"""How far behind the lips the inside of the mouth lies."""
HAIR_STEPS = (96, 64)
EAR_MM = 77.0
"""Farther to the side are the ears, where no hair grows."""
SHOULDER_STEPS = (48, 24)
SCALP_CENTER = np.array([0.0, 38.0, -22.0])
"""Head frame of the mean, mm: rays from here meet the scalp."""
SCALP_RADII = np.array([83.0, 94.0, 104.0])


class Part(IntEnum):
    """What a triangle belongs to."""

    SKIN = 0
    RIGHT_EYE = 1
    LEFT_EYE = 2
    MOUTH = 3
    HAIR = 4
    CLOTH = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """A head with everything around it; the skin's vertices come first and keep their numbers.

    mesh: head frame, mm. part: (F,) int8, one of Part per triangle. eyes: (2, 3) centers of the subject's
    right and left eye.
    """

    mesh: Mesh
    part: NDArray[np.int8]
    eyes: Array


@dataclass(frozen=True, slots=True)
class HairStyle:
    """hairline: (V,) over the skin's vertices, positive where hair grows, about mm from its border. lift:
    (V,) mm, how high the hair stands there. shell: the hair on the back of the mean head, which the model
    lacks.
    """

    hairline: Array
    lift: Array
    shell: Mesh


def sample_hair(basis: DenseBasis, rng: np.random.Generator) -> HairStyle:
    """Short hair of random thickness, with a hairline of its own."""
    thickness = float(rng.choice([rng.uniform(2, 6), rng.uniform(6, 20)]))
    front = rng.uniform(86.0, 108.0)
    temple = rng.uniform(22.0, 40.0)
    bumps = rng.integers(2**31)

    def hairline(points: Array) -> Array:
        """Border with the same random waves wherever it is asked for."""
        return _hairline(points, front, temple) + 3.0 * smooth_field(
            points, 9.0, np.random.default_rng(bumps)
        )

    ball = _ball(*HAIR_STEPS)
    shell = SCALP_CENTER + ball.vertices * SCALP_RADII
    points = np.concatenate([shell, basis.mean])
    height = thickness * (1 + 0.25 * smooth_field(points, 25.0, rng)) + 0.6 * smooth_field(points, 5.0, rng)
    # Where no hair grows it dives below the skin.
    border = hairline(points)
    on_skin = border[len(shell) :]
    np.minimum(on_skin, EAR_MM - np.abs(basis.mean[:, 0]), out=on_skin, where=basis.mean[:, 1] < 70.0)
    grown = np.clip(border / 12.0, -1.0, 1.0)
    lift = np.where(grown > 0, np.maximum(height, 0.5) * np.sqrt(np.abs(grown)), 40.0 * grown)
    shell = shell + ball.vertices * lift[: len(shell), None]
    return HairStyle(on_skin, lift[len(shell) :], Mesh(shell, ball.triangles))


def assembled(basis: DenseBasis, neutral: Array, skin: Array, hair: HairStyle) -> Figure:
    """The figure around ``skin`` (V, 3), the head with an expression; ``neutral`` (V, 3) is the same head
    without one and holds eyes, hair and shoulders in place.
    """
    right, left, mouth, outer = basis.borders
    eyes = np.stack([_eye_center(neutral[lids]) for lids in (right, left)])
    ball = _ball(*EYE_STEPS)
    pieces = [(Mesh(skin, basis.triangles), Part.SKIN)]
    for center, part in zip(eyes, (Part.RIGHT_EYE, Part.LEFT_EYE), strict=True):
        pieces.append((Mesh(center + EYE_RADIUS_MM * ball.vertices, ball.triangles), part))
    pieces.append((_mouth(skin, mouth), Part.MOUTH))
    pieces.append((_fitted_shell(basis, neutral, hair), Part.HAIR))
    pieces.append((_cap(basis, neutral, hair), Part.HAIR))
    pieces.append((_shoulders(neutral, outer), Part.CLOTH))
    offset, vertices, triangles, part_of = 0, [], [], []
    for mesh, part in pieces:
        vertices.append(mesh.vertices)
        triangles.append(mesh.triangles + offset)
        part_of.append(np.full(len(mesh.triangles), part, dtype=np.int8))
        offset += len(mesh.vertices)
    return Figure(Mesh(np.concatenate(vertices), np.concatenate(triangles)), np.concatenate(part_of), eyes)


def _hairline(points: Array, front: float, temple: float) -> Array:
    """mm, positive where hair grows: above the forehead, and behind the temples down to the ears."""
    x, y, z = points.T
    top = y - front + 0.004 * x**2 * (z > 0)
    side = np.minimum(temple - z + 0.35 * (y - 60.0), y - 28.0)
    return np.asarray(np.maximum(top, side))


def _eye_center(lids: Array) -> Array:
    """Center of a ball of EYE_RADIUS_MM just behind the rim of the lids (N, 3), by Gauss-Newton."""
    center = lids.mean(axis=0) - np.array([0.0, 0.0, EYE_RADIUS_MM - 2.0])
    for _ in range(10):
        away = center - lids
        distance = np.linalg.norm(away, axis=1)
        jacobian = away / distance[:, None]
        step = np.linalg.lstsq(jacobian, EYE_RADIUS_MM + 0.5 - distance, rcond=None)[0]
        center = center + np.clip(step, -2.0, 2.0)
    return np.asarray(center)


def _mouth(skin: Array, loop: NDArray[np.int64]) -> Mesh:
    """A bag behind the lips: their rim, pushed back, and a fan that closes it."""
    rim = skin[loop]
    middle = rim.mean(axis=0)
    back = middle + 0.9 * (rim - middle) - np.array([0.0, 0.0, MOUTH_DEPTH_MM])
    count = len(loop)
    ring = np.arange(count)
    following = np.roll(ring, -1)
    tube = np.concatenate(
        [
            np.stack([following, ring, ring + count], axis=1),
            np.stack([following, ring + count, following + count], axis=1),
        ]
    )
    fan = np.stack([following + count, ring + count, np.full(count, 2 * count)], axis=1)
    return Mesh(np.concatenate([rim, back, back.mean(axis=0)[None]]), np.concatenate([tube, fan]))


def _cap(basis: DenseBasis, neutral: Array, hair: HairStyle) -> Mesh:
    """Hair on that part of the scalp which the model has: its skin, lifted."""
    covered = basis.triangles[(hair.hairline[basis.triangles] > 0).any(axis=1)]
    used, renumbered = np.unique(covered, return_inverse=True)
    lifted = neutral[used] + np.maximum(hair.lift[used], -1.5)[:, None] * basis.outward[used]
    return Mesh(lifted, renumbered.reshape(-1, 3).astype(np.int64))


def _fitted_shell(basis: DenseBasis, neutral: Array, hair: HairStyle) -> Mesh:
    """The shell scaled and moved with the scalp of this head."""
    scalp = (hair.hairline > 0) & (basis.mean[:, 1] > 40.0)
    before, after = basis.mean[scalp], neutral[scalp]
    scale = after.std(axis=0) / before.std(axis=0)
    # The depth of the head behind the ears is not in the model: it goes with the width.
    scale[2] = scale[0]
    moved = after.mean(axis=0) + (hair.shell.vertices - before.mean(axis=0)) * scale
    return Mesh(moved, hair.shell.triangles)


def _shoulders(neutral: Array, border: NDArray[np.int64]) -> Mesh:
    """A half-buried ball of cloth that the neck stands in."""
    lowest = neutral[border][neutral[border][:, 1] < np.quantile(neutral[border][:, 1], 0.2)].mean(axis=0)
    ball = _ball(*SHOULDER_STEPS)
    # A power below 1 squares the shoulders.
    squared = np.sign(ball.vertices) * np.abs(ball.vertices) ** np.array([0.75, 0.75, 1.0])
    center = lowest + np.array([0.0, -88.0, -50.0])
    return Mesh(center + squared * np.array([240.0, 125.0, 110.0]), ball.triangles)


def _ball(around: int, down: int) -> Mesh:
    """A unit sphere, poles on the y axis; triangles counter-clockwise from outside."""
    phi = np.linspace(0, 2 * np.pi, around, endpoint=False)
    theta = np.linspace(0, np.pi, down + 1)[1:-1]
    grid = np.stack(
        [
            np.sin(theta)[:, None] * np.sin(phi),
            np.repeat(np.cos(theta)[:, None], around, axis=1),
            np.sin(theta)[:, None] * np.cos(phi),
        ],
        axis=2,
    ).reshape(-1, 3)
    vertices = np.concatenate([grid, [[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]])
    ring = np.arange(around)
    following = np.roll(ring, -1)
    triangles = []
    for row in range(down - 2):
        upper, lower = row * around, (row + 1) * around
        triangles.append(np.stack([upper + ring, lower + ring, lower + following], axis=1))
        triangles.append(np.stack([upper + ring, lower + following, upper + following], axis=1))
    top, bottom = len(grid), len(grid) + 1
    last = (down - 2) * around
    triangles.append(np.stack([np.full(around, top), ring, following], axis=1))
    triangles.append(np.stack([last + ring, np.full(around, bottom), last + following], axis=1))
    return Mesh(vertices, np.concatenate(triangles).astype(np.int64))
