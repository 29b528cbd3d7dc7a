"""The skin of the model unrolled: a flat grid of texels in which every picture of a face looks alike.

Pictures are compared there and not in the frame of one of them: each is unrolled once per round however
many pairs it is part of, all of the grid is skin, and no pixel needs a ray through a mesh that has changed
since the last round.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, crossed
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.geometry.raycast import cast
from recon_service.matching.neighborhood import doubled

AXIS_Z = -30.0
"""Depth in mm of the vertical axis around which the face is unrolled, head frame: about the middle of the
head, so that cheeks are as little stretched as the nose."""
RADIUS = 85.0
"""Radius in mm at which a texel is as wide as high."""
REACH_DEGREES = 80.0
OUTSIDE_MM = 400.0
NODE_STEP = 2
"""Geometry is computed at every second texel and interpolated between."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class UnrolledSkin:
    """A grid over the model's skin: one column per angle about the head's axis, one row per height.

    texel_mm: spacing of texels. node_shape: (h, w) of the nodes, every NODE_STEP-th texel. rows, columns:
    (N,) the nodes that lie on skin. triangles (N,), barycentric (N, 3): where they lie on the model. mean,
    identity, expression: (3N,), (3N, K), (3N, E) float32, their coordinates in mm as the coefficients move
    them.
    """

    texel_mm: float
    node_shape: tuple[int, int]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    triangles: NDArray[np.int64]
    barycentric: Array
    mean: Float32
    identity: Float32
    expression: Float32
    _around: NDArray[np.int64] = field(init=False, repr=False, compare=False)
    _edge: NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """The nodes above, below, left and right of each (4, N), and the nodes that lack one."""
        height, width = self.node_shape
        number = np.full((height + 2, width + 2), -1)
        number[self.rows + 1, self.columns + 1] = np.arange(len(self.rows))
        steps = ((0, 1), (2, 1), (1, 0), (1, 2))
        around = np.stack([number[self.rows + down, self.columns + right] for down, right in steps])
        object.__setattr__(self, "_around", np.maximum(around, 0))
        object.__setattr__(self, "_edge", np.flatnonzero((around < 0).any(axis=0)))

    @classmethod
    def of(cls, model: MorphableModel, texel_mm: float) -> UnrolledSkin:
        """Rays are shot from around the mean shape toward its axis; each node is the skin that one meets."""
        mean, skin = model.vertices.mean, model.triangles[model.skin]
        used = mean[np.unique(skin)]
        angles = np.arctan2(used[:, 0], used[:, 2] - AXIS_Z)
        reach = np.deg2rad(REACH_DEGREES)
        angles = angles[np.abs(angles) < reach]
        step = texel_mm * NODE_STEP
        width = int(np.ceil(np.ptp(angles) * RADIUS / step)) + 1
        height = int(np.ceil(np.ptp(used[:, 1]) / step)) + 1
        angle = angles.min() + np.arange(width) * step / RADIUS
        level = used[:, 1].max() - np.arange(height) * step
        level, angle = (part.ravel() for part in np.meshgrid(level, angle, indexing="ij"))
        outward = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=1)
        axis = np.stack([np.zeros_like(level), level, np.full_like(level, AXIS_Z)], axis=1)
        hit, barycentric, _, _ = cast(Mesh(mean, skin), -outward, origins=axis + OUTSIDE_MM * outward)
        met = np.flatnonzero(hit >= 0)
        rows, columns = np.divmod(met, width)
        triangles = np.flatnonzero(model.skin)[hit[met]]
        points = model.vertices.between(model.triangles[triangles], barycentric[met])
        flat = 3 * len(met)
        return cls(
            texel_mm,
            (height, width),
            rows,
            columns,
            triangles,
            barycentric[met],
            points.mean.reshape(-1).astype(np.float32),
            points.identity.reshape(flat, -1).astype(np.float32),
            points.expression.reshape(flat, -1).astype(np.float32),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Texels (H, W)."""
        height, width = self.node_shape
        return (height - 1) * NODE_STEP + 1, (width - 1) * NODE_STEP + 1

    @property
    def texels(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the nodes, in texels."""
        return self.rows * NODE_STEP, self.columns * NODE_STEP

    def neutral(self, identity: Array) -> Float32:
        """(3N,) coordinates of the nodes in mm, head frame."""
        return np.asarray(self.mean + self.identity @ identity.astype(np.float32))

    def posed(self, neutral: Float32, expression: Array) -> Array:
        """(N, 3) mm, head frame, with an expression."""
        return (neutral + self.expression @ expression.astype(np.float32)).reshape(-1, 3).astype(np.float64)

    def normals(self, points: Array) -> Array:
        """(N, 3) unit normals of points (N, 3) at the nodes, out of the face, by differences across the grid;
        zero at its border.
        """
        above, below, left, right = (points.take(nodes, axis=0) for nodes in self._around)
        # Rows run down and columns to the subject's left: their product points out of the face, in the head
        # frame and, as rotations keep the hand, in the camera's.
        normals = crossed(below - above, right - left)
        normals /= np.maximum(np.sqrt(np.einsum("nc,nc->n", normals, normals)), 1e-12)[:, None]
        normals[self._edge] = 0.0
        return normals

    def spread(self, values: Array, *, outside: float = 0.0) -> Float32:
        """Values at the nodes, (N,) or (N, C), interpolated to every texel: (H, W) or (H, W, C)."""
        coarse = np.full((*self.node_shape, *values.shape[1:]), outside, dtype=np.float32)
        coarse[self.rows, self.columns] = values
        # Node k becomes texel k * NODE_STEP, exactly.
        return np.asarray(doubled(coarse, self.shape), dtype=np.float32)

    def spread_mask(self, seen: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """(H, W), 1 where all nodes around a texel are seen (N,)."""
        coarse = np.zeros(self.node_shape, dtype=np.uint8)
        coarse[self.rows, self.columns] = seen
        texels = np.empty(self.shape, dtype=np.uint8)
        texels[::2, ::2] = coarse
        texels[1::2, ::2] = coarse[:-1] & coarse[1:]
        texels[:, 1::2] = texels[:, :-1:2] & texels[:, 2::2]
        return texels
