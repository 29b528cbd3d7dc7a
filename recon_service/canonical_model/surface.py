"""Which points of a model depth evidence looks at: skin that a camera in front sees, evenly spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.mesh import Mesh
from recon_service.geometry import cast

MIN_FACING = 0.15
"""Smallest z of the outward normal in the head frame: leaves out the inside of lips and lids and the back
of the jaw.
"""

FAR_IN_FRONT_MM, HIDING_MM = 2000.0, 1.0

RIM_RINGS = 2
"""Rings of vertices around the holes of eyes and mouth and along the outer border that are left out."""


def spread_points(
    mean: Array, triangles: NDArray[np.int64], normals: Array, *, narrow: int, count: int
) -> NDArray[np.int64]:
    """Indices of ``count`` vertices chosen by farthest-point sampling, deterministic.

    mean, normals: (V, 3). narrow: only the first ``narrow`` vertices (the narrow face) are eligible.
    """
    eligible = np.zeros(len(mean), dtype=bool)
    eligible[:narrow] = True
    eligible &= (
        (normals[:, 2] > MIN_FACING)
        & ~near_border(triangles, len(mean))
        & ~hidden_from_front(mean, triangles)
    )
    candidates = np.flatnonzero(eligible)
    points = mean[candidates]
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    for _ in range(min(count, len(candidates)) - 1):
        farthest = int(distance.argmax())
        chosen.append(farthest)
        np.minimum(distance, np.linalg.norm(points - points[farthest], axis=1), out=distance)
    return np.asarray(candidates[np.sort(chosen)])


def hidden_from_front(mean: Array, triangles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(V,) True where other skin stands before the vertex in front: nostrils, folds of the jaw."""
    origins = np.tile([0.0, 0.0, FAR_IN_FRONT_MM], (len(mean), 1))
    hit, _, share, _ = cast(Mesh(mean, triangles), mean - origins, origins=origins)
    before = (1.0 - share) * np.linalg.norm(mean - origins, axis=1)
    return np.asarray((hit >= 0) & (before > HIDING_MM))


def near_border(triangles: NDArray[np.int64], vertices: int) -> NDArray[np.bool_]:
    """(V,) True within RIM_RINGS edges of an edge that only one triangle has."""
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    near = np.zeros(vertices, dtype=bool)
    near[unique[counts == 1]] = True
    for _ in range(RIM_RINGS):
        near[edges[near[edges].any(axis=1)]] = True
    return near
