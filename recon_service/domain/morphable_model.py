"""The canonical morphable model: a face is mean + identity basis · a + expression basis · e.

Memory layout and scaling, once for the whole service: bases are (N, 3, K), so that ``basis @ coefficients``
gives (N, 3); a coefficient of 1 is one standard deviation of the population the model was learned from, so
that the prior of the identity is N(0, I); expression directions are scaled to a unit prior too.
Millimetres, head frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import AnyArray, Array, finite, shaped
from recon_service.domain.errors import InvalidValue
from recon_service.domain.mesh import Mesh


@dataclass(frozen=True, slots=True)
class LinearPoints:
    """N points that move linearly with the coefficients.

    mean: (N, 3) mm. identity: (N, 3, K). expression: (N, 3, E). normals: (N, 3) unit outward normals of the
    mean shape.
    """

    mean: Array
    identity: Array
    expression: Array
    normals: Array

    def __post_init__(self) -> None:
        n = len(self.mean)
        finite(shaped(self.mean, "mean", None, 3), "mean")
        finite(shaped(self.identity, "identity basis", n, 3, None), "identity basis")
        finite(shaped(self.expression, "expression basis", n, 3, None), "expression basis")
        finite(shaped(self.normals, "normals", n, 3), "normals")

    def __len__(self) -> int:
        return len(self.mean)

    def positions(self, identity: Array, expression: Array | None = None) -> Array:
        """(N, 3) mm in the head frame for identity (K,) and expression (E,) coefficients (None: neutral)."""
        # Flat matrix-vector products: BLAS reads the basis once, in its memory order.
        n = len(self.mean)
        moved = self.mean.reshape(-1) + self.identity.reshape(3 * n, -1) @ identity
        if expression is not None:
            moved = moved + self.expression.reshape(3 * n, -1) @ expression
        return np.asarray(moved.reshape(n, 3))

    def take(self, rows: AnyArray) -> LinearPoints:
        """The chosen points (indices or mask)."""
        return LinearPoints(self.mean[rows], self.identity[rows], self.expression[rows], self.normals[rows])

    def between(self, triangles: AnyArray, barycentric: Array) -> LinearPoints:
        """Points on triangles of these points: triangles (M, 3) indices, barycentric (M, 3) weights."""
        return self.take(triangles.reshape(-1)).merged(barycentric)

    def merged(self, weights: Array) -> LinearPoints:
        """M points, each the sum of B neighbors of these M·B points with its row of weights (M, B)."""

        def mixed(values: Array) -> Array:
            m, b = weights.shape
            summed = np.matmul(weights[:, None, :], values.reshape(m, b, -1))
            return np.asarray(summed.reshape(m, *values.shape[1:]))

        normals = mixed(self.normals)
        return LinearPoints(
            mixed(self.mean),
            mixed(self.identity),
            mixed(self.expression),
            normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12),
        )


@dataclass(frozen=True, slots=True)
class MorphableModel:
    """A morphable model of the face.

    name: which file it came from. space: the meaning of the identity coefficients; posteriors of two models
    are comparable only if their spaces are the same string (the built-in and the dense model share one).
    vertices: its V points. triangles: (F, 3). surface: indices of the vertices that depth evidence looks at
    (visible skin, evenly spread, no eyes or inner mouth). skin: (F,) True for triangles of the face proper,
    away from eyes, mouth and border, where pictures are matched. surface_points: the vertices of the
    surface. surface_motion: (N, K + E) mm along their own normals per identity and expression coefficient.
    """

    name: str
    space: str
    vertices: LinearPoints
    triangles: NDArray[np.int64]
    surface: NDArray[np.int64]
    skin: NDArray[np.bool_]
    surface_points: LinearPoints = field(init=False, repr=False, compare=False)
    surface_motion: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shaped(self.triangles, "triangles", None, 3)
        count = len(self.vertices)
        if self.triangles.min() < 0 or self.triangles.max() >= count:
            raise InvalidValue("a triangle of the model names a vertex that does not exist")
        shaped(self.skin, "skin", len(self.triangles))
        if self.surface.min() < 0 or self.surface.max() >= count:
            raise InvalidValue("a surface point of the model names a vertex that does not exist")
        points = self.vertices.take(self.surface)
        bases = np.concatenate([points.identity, points.expression], axis=2)
        object.__setattr__(self, "surface_points", points)
        object.__setattr__(self, "surface_motion", np.einsum("ni,nik->nk", points.normals, bases))

    @property
    def identity_modes(self) -> int:
        return int(self.vertices.identity.shape[2])

    @property
    def expression_modes(self) -> int:
        return int(self.vertices.expression.shape[2])

    def mesh(self, identity: Array, expression: Array | None = None) -> Mesh:
        """The face with these coefficients (expression None: neutral), head frame."""
        return Mesh(self.vertices.positions(identity, expression), self.triangles)
