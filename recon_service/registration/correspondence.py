"""Where the vertices of the canonical model lie on another model's mesh; kept as a file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.errors import InvalidValue, WeightsUnavailable
from recon_service.domain.mesh import Mesh


@dataclass(frozen=True, slots=True)
class Correspondence:
    """model: name of the canonical model. vertices: (N,) its vertices that have a partner. triangles: (N,)
    of the other mesh and barycentric: (N, 3) where on them the partners lie. distance: (N,) mm left between
    partners after the deformation, canonical scale. mesh_vertices, mesh_triangles: size of the other mesh.
    """

    model: str
    vertices: NDArray[np.int64]
    triangles: NDArray[np.int64]
    barycentric: Array
    distance: Array
    mesh_vertices: int
    mesh_triangles: int

    def __post_init__(self) -> None:
        n = len(self.vertices)
        shaped(self.triangles, "triangles", n)
        finite(shaped(self.barycentric, "barycentric weights", n, 3), "barycentric weights")
        finite(shaped(self.distance, "distances", n), "distances")
        if n and not (self.triangles.min() >= 0 and self.triangles.max() < self.mesh_triangles):
            raise InvalidValue("a correspondence names a triangle that does not exist")

    def points_on(self, mesh: Mesh) -> Array:
        """(N, 3) the partners on a mesh with the topology that was registered."""
        if (len(mesh.vertices), len(mesh.triangles)) != (self.mesh_vertices, self.mesh_triangles):
            raise InvalidValue("the correspondence is of another mesh")
        return np.einsum("nb,nbc->nc", self.barycentric, mesh.vertices[mesh.triangles[self.triangles]])

    def chosen(self, rows: NDArray[np.bool_]) -> Correspondence:
        """Some of the pairs."""
        return Correspondence(
            self.model,
            self.vertices[rows],
            self.triangles[rows],
            self.barycentric[rows],
            self.distance[rows],
            self.mesh_vertices,
            self.mesh_triangles,
        )

    def content(self) -> bytes:
        """The file's bytes."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            allow_pickle=False,
            model=np.array(self.model),
            vertices=self.vertices.astype(np.int32),
            triangles=self.triangles.astype(np.int32),
            barycentric=self.barycentric.astype(np.float32),
            distance=self.distance.astype(np.float32),
            mesh=np.array([self.mesh_vertices, self.mesh_triangles], dtype=np.int32),
        )
        return stream.getvalue()


def load_correspondence(path: Path, *, command: str) -> Correspondence:
    """Read the file. Raises WeightsUnavailable, naming the command that makes it again."""
    try:
        with np.load(path, allow_pickle=False) as file:
            mesh_vertices, mesh_triangles = (int(n) for n in file["mesh"])
            return Correspondence(
                str(file["model"]),
                file["vertices"].astype(np.int64),
                file["triangles"].astype(np.int64),
                file["barycentric"].astype(np.float64),
                file["distance"].astype(np.float64),
                mesh_vertices,
                mesh_triangles,
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, InvalidValue) as fault:
        raise WeightsUnavailable(
            f"The correspondence {path.name} cannot be read.", next_step=f"Run: {command}"
        ) from fault
