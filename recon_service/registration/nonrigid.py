"""Non-rigid registration: the canonical mean is bent onto another model's mean face.

1. The other mesh is brought to the canonical frame and scale by a similarity of its landmarks.
2. The canonical model's own identity and expression modes take the shape as near as they can (landmarks
   first, then closest points too): what a face may do, a face does.
3. What is left is a displacement d of every vertex that is smooth along the mesh: least squares over

       sum_i w_i |n_i · (v_i + d_i - c_i)|² + near · same without n_i      pull to the closest points c_i
       + stiffness · sum_edges |d_i - d_j|²                                 neighbors move together
       + sum_l u |v_l + d_l - t_l|²                                         landmarks,

   solved again and again with closest points taken anew and a falling stiffness (Amberg, Romdhani and
   Vetter, "Optimal step nonrigid ICP algorithms for surface registration", 2007, with translations in the
   place of affine maps). Partners whose normals disagree, that are far, or on the other mesh's border
   have no say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.similarity import best_similarity
from recon_service.registration.closest import ClosestPoints, OnSurface
from recon_service.registration.correspondence import Correspondence

MODEL_ROUNDS = 12
STIFFNESS = (50.0, 20.0, 8.0, 3.0, 1.0, 0.4)
ROUNDS_EACH = 3
LANDMARK_WEIGHT = 5.0
REACH_MM = 15.0
ALIKE = 0.5
"""Cosine between the normals of partners under which they are not the same piece of skin."""
KEPT_MM = 1.5
"""Partners farther apart than this after the deformation are left out."""
OUTLINE = 17
"""The first 17 of the 68 landmarks lie on the outline, which is another line on every model: they seed
nothing."""


@dataclass(frozen=True, slots=True)
class RegistrationReport:
    """How well it went, mm at canonical scale.

    median, p95: distance from the kept vertices to the other surface. left_out: median distance at
    landmarks that a second registration was not told (None: not measured). kept: share of the model's
    surface points that have a partner. deformed: the canonical mesh on the other face; target: that face,
    both in the canonical frame, for pictures.
    """

    median: float
    p95: float
    left_out: float | None
    kept: float
    deformed: Mesh
    target: Mesh


def register(
    model: MorphableModel,
    landmarks: NDArray[np.int64],
    mesh: Mesh,
    mesh_landmarks: Array,
    *,
    check: bool = True,
) -> tuple[Correspondence, RegistrationReport]:
    """Register a mean face with the canonical model.

    landmarks: (68,) vertices of the model. mesh: neutral mean face, any frame and scale, right-handed.
    mesh_landmarks: (68, 3) on it. check: measure at left-out landmarks (twice the time). Raises
    InvalidValue where the landmarks do not fit together.
    """
    if landmarks.shape != (68,) or mesh_landmarks.shape != (68, 3):
        raise InvalidValue("a registration needs 68 landmarks on both meshes")
    inner = np.arange(OUTLINE, 68)
    into = best_similarity(mesh_landmarks[inner], model.vertices.mean[landmarks[inner]])
    target = Mesh(into.apply(mesh.vertices), mesh.triangles)
    goals = into.apply(mesh_landmarks)
    deformed, found, good = _bent(model, landmarks[inner], target, goals[inner])
    left_out = None
    if check:
        # Every third landmark is kept back.
        told = np.setdiff1d(inner, inner[::3])
        other, _, _ = _bent(model, landmarks[told], target, goals[told])
        away = other[landmarks[inner[::3]]] - goals[inner[::3]]
        left_out = float(np.median(np.linalg.norm(away, axis=1)))
    kept = good & (found.distance < KEPT_MM)
    report = RegistrationReport(
        median=float(np.median(found.distance[kept])),
        p95=float(np.percentile(found.distance[kept], 95)),
        left_out=left_out,
        kept=float(kept[model.surface].mean()),
        deformed=Mesh(deformed, model.triangles),
        target=target,
    )
    pairs = Correspondence(
        model.name,
        np.flatnonzero(kept),
        found.triangles[kept],
        found.barycentric[kept],
        found.distance[kept],
        len(mesh.vertices),
        len(mesh.triangles),
    )
    return pairs, report


def _bent(
    model: MorphableModel, landmarks: NDArray[np.int64], target: Mesh, goals: Array
) -> tuple[Array, OnSurface, NDArray[np.bool_]]:
    """The vertices of the model on the target, their closest points, and which of those to believe."""
    surface = ClosestPoints(target)
    border = _border_triangles(target.triangles)
    vertices = _by_the_modes(model, landmarks, surface, border, goals)
    stiffness_matrix = _edge_laplacian(model.triangles, len(vertices))
    tied = sparse.coo_matrix(
        (np.full(len(landmarks), LANDMARK_WEIGHT), (landmarks, landmarks)), shape=stiffness_matrix.shape
    ).tocsr()
    start = vertices
    for stiffness in STIFFNESS:
        for _ in range(ROUNDS_EACH):
            found, good = _partners(vertices, model.triangles, surface, border)
            pull = sparse.diags(good.astype(float))
            matrix = (pull + tied + stiffness * stiffness_matrix).tocsc()
            system = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
            wanted = np.zeros_like(vertices)
            wanted[good] = found.points[good] - start[good]
            np.add.at(wanted, landmarks, LANDMARK_WEIGHT * (goals - start[landmarks]))
            vertices = start + system.solve(wanted)
    found, good = _partners(vertices, model.triangles, surface, border)
    return vertices, found, good


def _by_the_modes(
    model: MorphableModel,
    landmarks: NDArray[np.int64],
    surface: ClosestPoints,
    border: NDArray[np.bool_],
    goals: Array,
) -> Array:
    """The model's vertices after identity and expression took them near the target."""
    points = model.vertices
    basis = np.concatenate([points.identity, points.expression], axis=2)
    modes = basis.shape[2]
    sampled = model.surface
    coefficients = np.zeros(modes)
    vertices = points.mean
    for turn in range(MODEL_ROUNDS):
        rows, wanted, weight = landmarks, goals, np.full(len(landmarks), 1.0)
        if turn >= 2:
            found, good = _partners(vertices, model.triangles, surface, border)
            use = sampled[good[sampled]]
            rows = np.concatenate([rows, use])
            wanted = np.concatenate([wanted, found.points[use]])
            weight = np.concatenate([weight, np.full(len(use), 0.3)])
        # Landmarks of two models differ by millimeters in where their makers put them: noise of 2 mm.
        jacobian = (basis[rows] * weight[:, None, None]).reshape(-1, modes) / 2.0
        away = ((wanted - points.mean[rows]) * weight[:, None]).reshape(-1) / 2.0
        coefficients = np.linalg.solve(jacobian.T @ jacobian + np.eye(modes), jacobian.T @ away)
        vertices = points.mean + basis @ coefficients
    return np.asarray(vertices)


def _partners(
    vertices: Array, triangles: NDArray[np.int64], surface: ClosestPoints, border: NDArray[np.bool_]
) -> tuple[OnSurface, NDArray[np.bool_]]:
    found = surface.of(vertices)
    normals = Mesh(vertices, triangles).vertex_normals()
    alike = np.einsum("nc,nc->n", normals, surface.normals[found.triangles]) > ALIKE
    return found, alike & (found.distance < REACH_MM) & ~border[found.triangles]


def _border_triangles(triangles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(F,) True for triangles with a vertex on an edge that only one triangle has."""
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    rim = np.zeros(triangles.max() + 1, dtype=bool)
    rim[unique[counts == 1]] = True
    return np.asarray(rim[triangles].any(axis=1))


def _edge_laplacian(triangles: NDArray[np.int64], count: int) -> sparse.csr_matrix:
    """L with d'Ld the sum over edges of |d_i - d_j|²."""
    edges = np.unique(
        np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1),
        axis=0,
    )
    ones = np.ones(len(edges))
    rows = np.arange(len(edges))
    incidence = sparse.coo_matrix(
        (
            np.concatenate([ones, -ones]),
            (np.concatenate([rows, rows]), np.concatenate([edges[:, 0], edges[:, 1]])),
        ),
        shape=(len(edges), count),
    ).tocsr()
    return incidence.T @ incidence
