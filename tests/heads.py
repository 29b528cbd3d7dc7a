"""Small heads of FLAME's and FaceVerse's structure: the built-in canonical model's points in another frame
and unit, with random skinning. So the mesh is a face, and what it says about the canonical model is known.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from recon_service.canonical_model import load_builtin
from recon_service.domain.morphable_model import MorphableModel
from recon_service.weights import bundled_directory
from third_party.deca.flame import Flame
from third_party.deca.landmarks import LandmarkTable, SurfacePoints
from third_party.faceverse.model import FaceVerse

Arrays = dict[str, NDArray[Any]]
FACEVERSE_SCALE = 1.03
"""The small FaceVerse head is this much larger than the canonical one: its unit is not trusted."""


@functools.cache
def face() -> MorphableModel:
    """The built-in canonical model: 468 points."""
    return load_builtin(bundled_directory() / "builtin.npz")


@functools.cache
def ibug68_vertices() -> NDArray[np.int64]:
    """68 vertices of the small heads near the places of iBUG's landmarks (FaceMesh numbers)."""
    contour = [127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356]
    brows = [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
    nose = [168, 197, 5, 4, 75, 97, 2, 326, 305]
    eyes = [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
    lips = [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87]
    return np.array(contour + brows + nose + eyes + lips)


def flame_arrays(rng: np.random.Generator) -> Arrays:
    """The arrays of a small FLAME: meters, the root joint far behind the face, random smooth weights."""
    model = face()
    mean = model.vertices.mean / 1000
    count = len(mean)
    modes = np.zeros((count, 3, 150))
    modes[:, :, :60] = model.vertices.identity[:, :, :60] / 1000
    modes[:, :, 60:100] = 1e-4 * rng.standard_normal((count, 3, 40))
    modes[:, :, 100:125] = model.vertices.expression[:, :, :25] / 1000
    modes[:, :, 125:] = 1e-4 * rng.standard_normal((count, 3, 25))
    regressor = np.zeros((5, count))
    for joint in range(5):
        chosen = rng.choice(count, 8, replace=False)
        regressor[joint, chosen] = rng.dirichlet(np.ones(8))
    weights = rng.dirichlet(0.3 * np.ones(5), size=count)
    weights[weights < 0.05] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return {
        "template": mean,
        "shape_basis": modes,
        "pose_basis": 1e-4 * rng.standard_normal((count, 3, 36)),
        "joint_regressor": regressor,
        "parents": np.array([-1, 0, 1, 1, 1]),
        "weights": weights,
        "triangles": model.triangles,
    }


def flame(seed: int = 0) -> Flame:
    return Flame(**flame_arrays(np.random.default_rng(seed)))


def landmark_table(triangles: NDArray[np.int64], seed: int = 0) -> LandmarkTable:
    """68 landmarks at the vertices above; the contour slides to neighboring triangles with the yaw."""
    rng = np.random.default_rng(seed)

    def at(vertices: NDArray[np.int64]) -> SurfacePoints:
        faces = np.array([int(np.flatnonzero((triangles == v).any(axis=1))[0]) for v in vertices])
        return SurfacePoints(faces, (triangles[faces] == vertices[:, None]).astype(np.float64))

    full = at(ibug68_vertices())
    faces = np.tile(full.faces[:17], (79, 1))
    barycentric = rng.dirichlet(np.ones(3), size=(79, 17))
    barycentric[0] = full.barycentric[:17]
    return LandmarkTable(
        fixed=SurfacePoints(full.faces[17:], full.barycentric[17:]),
        contour=SurfacePoints(faces, barycentric),
        full=full,
    )


def faceverse(seed: int = 0) -> FaceVerse:
    """The small face in the camera's axes (y down, z forward), two eyeballs and teeth behind it."""
    rng = np.random.default_rng(seed)
    model = face()
    turn = np.diag([1.0, -1.0, -1.0]) * FACEVERSE_SCALE / 100
    skin = model.vertices.mean @ turn
    balls = [
        _ball(model.vertices.mean[[a, b]].mean(axis=0) - [0, 0, 12.0]) @ turn
        for a, b in ((362, 263), (33, 133))
    ]
    teeth = (model.vertices.mean[[13, 14]].mean(axis=0) + rng.normal(0, 4, (6, 3)) - [0, 0, 10]) @ turn
    mean = np.concatenate([skin, *balls, teeth])
    count, n = len(mean), len(skin)
    identity = np.zeros((count, 3, 156))
    identity[:n, :, :60] = np.einsum("vck,cd->vdk", model.vertices.identity[:, :, :60], turn)
    identity[n:, :, :60] = identity[[1, 2, 3], :, :60].mean(axis=0)
    identity[:n, :, 60:] = 1e-3 * rng.standard_normal((n, 3, 96))
    expression = np.zeros((count, 3, 177))
    expression[:n, :, :25] = np.einsum("vck,cd->vdk", model.vertices.expression[:, :, :25], turn)
    expression[n:] = 1e-3 * rng.standard_normal((count - n, 3, 177))
    ends = np.cumsum([n, len(balls[0]), len(balls[1]), 2, 2, 2])
    inner = np.concatenate(
        [Delaunay(b[:, :2]).simplices + start for b, start in zip(balls, ends, strict=False)]
    )
    return FaceVerse(
        mean=mean,
        identity_basis=identity,
        expression_basis=expression,
        triangles=np.concatenate([model.triangles, inner]),
        landmarks=ibug68_vertices(),
        parts=ends,
        mouth=np.array([13, int(ends[2])]),
        face=np.arange(count) < n,
    )


def _ball(center: NDArray[np.float64]) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.stack([8 * np.cos(angle), 8 * np.sin(angle), 4 * np.cos(3 * angle)], axis=1)
    return center + np.concatenate([ring, [[0, 0, 12.0], [0, 0, -12.0]]])
