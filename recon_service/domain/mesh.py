"""Triangle meshes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, crossed, finite, shaped
from recon_service.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Mesh:
    """vertices: (V, 3) float64, millimetres. triangles: (F, 3) int, counter-clockwise seen from outside."""

    vertices: Array
    triangles: NDArray[np.int64]

    def __post_init__(self) -> None:
        finite(shaped(self.vertices, "vertices", None, 3), "vertices")
        shaped(self.triangles, "triangles", None, 3)
        if len(self.triangles) and not (
            self.triangles.min() >= 0 and self.triangles.max() < len(self.vertices)
        ):
            raise InvalidValue("a triangle names a vertex that does not exist")

    def vertex_normals(self) -> Array:
        """Unit normals (V, 3), the area-weighted mean of the adjacent triangles'; zero where no triangle
        meets the vertex.
        """
        corners = self.vertices[self.triangles]
        faces = crossed(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        corner = self.triangles.T.reshape(-1)
        count = len(self.vertices)
        sums = [np.bincount(corner, np.tile(faces[:, axis], 3), minlength=count) for axis in range(3)]
        normals = np.stack(sums, axis=1)
        return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))
