"""Shapes of heads that are no samples of the canonical model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, diags
from scipy.spatial import cKDTree

from recon_service.domain.arrays import Array
from recon_service.domain.errors import WeightsUnavailable
from recon_service.domain.mesh import Mesh
from recon_service.simulation.heads import smooth_field
from recon_service.simulation.population.spec import ShapeSpec
from recon_service.simulation.texture import border_loops

COEFFICIENT_LIMIT = 3.5
"""Identity coefficients end here: beyond it faces of the model stop looking like faces."""
AT_REST = 0.10
"""How far the lids of a relaxed face are closed, as a coefficient of the blink."""
LID_MM, LID_SHARE = 20.0, 0.3
"""Displacement fields over less than the first are weaker by the second at the rims of the lids."""
NORMAL_SMOOTHING = 25
"""Rounds of averaging of the directions of displacement over neighbors, so that the two sides of a lid move
together."""


@dataclass(frozen=True, slots=True)
class DenseBasis:
    """All of the dense model, millimetres, head frame.

    mean: (V, 3). identity: (100, V, 3) float32 and expression: (56, V, 3) float32. names: of the expressions.
    triangles: (F, 3). narrow: the first ``narrow`` vertices are the face without ears, neck and scalp.
    outward: (V, 3) unit vectors, the normals of the mean smoothed over the surface. ibug68: the vertices of
    the 68 landmarks of the iBUG scheme. borders: vertices along the subject's right eye, left eye, mouth and
    the outer border.
    """

    mean: Array
    identity: NDArray[np.float32]
    expression: NDArray[np.float32]
    names: tuple[str, ...]
    triangles: NDArray[np.int64]
    narrow: int
    outward: Array
    ibug68: NDArray[np.int64]
    borders: tuple[NDArray[np.int64], ...]

    @classmethod
    def load(cls, path: Path) -> DenseBasis:
        """Read ``ict_face_model.npz``. Raises WeightsUnavailable if the file does not hold what it should."""
        try:
            with np.load(path, allow_pickle=False) as file:
                mean = file["mean"].astype(np.float64)
                triangles = file["tris"].astype(np.int64)
                return cls(
                    mean=mean,
                    identity=file["id_basis"].astype(np.float32),
                    expression=file["ex_basis"].astype(np.float32),
                    names=tuple(str(name) for name in file["ex_names"]),
                    triangles=triangles,
                    narrow=int(file["narrow_n"]),
                    outward=smoothed_normals(Mesh(mean, triangles)),
                    ibug68=file["ibug68"].astype(np.int64),
                    borders=_borders(mean, triangles),
                )
        except (OSError, ValueError, KeyError) as fault:
            raise WeightsUnavailable(
                "The dense canonical model cannot be read.",
                next_step="Run: recon weights pull ict_facekit/ict_face_model.npz",
            ) from fault


@dataclass(frozen=True, slots=True)
class HeadShape:
    """One head. identity: (100,) coefficients. displacement: (V, 3) mm, off the model."""

    identity: Array
    displacement: Array

    def vertices(self, basis: DenseBasis, expression: Array | None = None) -> Array:
        """(V, 3) mm, head frame, with the expression (56,), None for neutral."""
        moved = np.tensordot(self.identity.astype(np.float32), basis.identity, 1)
        if expression is not None:
            moved = moved + np.tensordot(expression.astype(np.float32), basis.expression, 1)
        return np.asarray(basis.mean + moved + self.displacement)


def sample_shape(basis: DenseBasis, spec: ShapeSpec, rng: np.random.Generator) -> HeadShape:
    """A head: wide identity coefficients of the model plus displacements that no coefficient explains."""
    sd = np.where(np.arange(len(basis.identity)) < spec.leading_modes, spec.leading_sd, 1.0)
    unit = np.sqrt((spec.tail_freedom - 2) / spec.tail_freedom)  # a Student variate of unit variance
    identity = sd * unit * rng.standard_t(spec.tail_freedom, len(sd))
    level = float(np.exp(spec.level_sd * rng.standard_normal()))
    along = np.zeros(len(basis.mean))
    for extent, strength in spec.patches:
        # A lid is as wide as the smaller fields: they would open one half of an eye and close the other.
        kept = 1.0 if extent > LID_MM else 1 - (1 - LID_SHARE) * _near_eyes(basis)
        along += level * strength * kept * _field(basis, extent, rng)
    extent, strength = spec.drift
    drift = np.stack([_field(basis, extent, rng) for _ in range(3)], axis=1)
    displacement = along[:, None] * basis.outward + level * strength * drift
    return HeadShape(np.clip(identity, -COEFFICIENT_LIMIT, COEFFICIENT_LIMIT), displacement)


def sample_expression(basis: DenseBasis, rng: np.random.Generator, *, strength: float = 1.0) -> Array:
    """(56,) coefficients of a face that is asked to keep still: small changes everywhere, often a slight
    smile, the mouth all but closed.
    """
    spread = np.array([_SPREAD.get(name.removesuffix("_L").removesuffix("_R"), 0.0) for name in basis.names])
    common: dict[str, float] = {}
    values = np.empty(len(basis.names))
    for number, name in enumerate(basis.names):
        # Both sides do the same up to a fifth.
        stem = name.removesuffix("_L").removesuffix("_R")
        if stem not in common:
            common[stem] = abs(rng.standard_normal())
        values[number] = common[stem] + 0.2 * rng.standard_normal()
    change = np.clip(strength * spread * values, 0.0, 0.6)
    # The model's neutral lids are wide open.
    return np.asarray(change + np.array([AT_REST if "eyeBlink" in name else 0.0 for name in basis.names]))


_SPREAD = {
    "mouthSmile": 0.12,
    "browInnerUp": 0.08,
    "browOuterUp": 0.08,
    "browDown": 0.08,
    "eyeSquint": 0.15,
    "eyeBlink": 0.12,
    "eyeWide": 0.03,
    "cheekSquint": 0.06,
    "cheekRaiser": 0.05,
    "cheekPuff": 0.03,
    "mouthPress": 0.10,
    "mouthFrown": 0.06,
    "mouthStretch": 0.05,
    "mouthDimple": 0.08,
    "mouthShrugLower": 0.06,
    "mouthShrugUpper": 0.05,
    "mouthRollLower": 0.08,
    "mouthRollUpper": 0.06,
    "mouthPucker": 0.05,
    "mouthLeft": 0.04,
    "mouthRight": 0.04,
    "jawLeft": 0.03,
    "jawRight": 0.03,
    "jawForward": 0.04,
    "jawOpen": 0.02,
    "noseSneer": 0.05,
}
"""Scale of each expression's coefficient, mostly below a tenth of its full extent."""


def _field(basis: DenseBasis, extent: float, rng: np.random.Generator) -> Array:
    """(V,) a smooth random field whose root mean square over the face is 1: a wide field has so few waves on
    a face that its strength would differ by half between heads.
    """
    field = smooth_field(basis.mean, extent, rng)
    return np.asarray(field / np.sqrt((field[: basis.narrow] ** 2).mean()))


def _near_eyes(basis: DenseBasis) -> Array:
    """(V,) 1 at the rims of the lids, falling to 0 over a centimetre."""
    rims = np.concatenate([basis.mean[loop] for loop in basis.borders[:2]])
    distance = cKDTree(rims).query(basis.mean)[0]
    return np.asarray(np.exp(-((distance / 8.0) ** 2)))


def _borders(mean: Array, triangles: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """See ``DenseBasis.borders``; told apart by their width and side."""
    first, second, mouth, outer = sorted(
        border_loops(triangles), key=lambda loop: float(np.ptp(mean[loop, 0]))
    )
    right, left = sorted((first, second), key=lambda loop: float(mean[loop, 0].mean()))
    return right, left, mouth, outer


def smoothed_normals(mesh: Mesh) -> Array:
    """(V, 3) unit normals, averaged over neighbors NORMAL_SMOOTHING times."""
    edges = np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]])
    both = np.concatenate([edges, edges[:, ::-1]])
    count = len(mesh.vertices)
    adjacent = coo_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    adjacent = diags(1 / np.maximum(np.asarray(adjacent.sum(axis=1)).ravel(), 1.0)) @ adjacent
    normals = mesh.vertex_normals()
    for _ in range(NORMAL_SMOOTHING):
        normals = 0.5 * normals + 0.5 * (adjacent @ normals)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9))
