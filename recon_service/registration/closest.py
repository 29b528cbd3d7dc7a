"""The closest points of a triangle mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon_service.domain.arrays import Array
from recon_service.domain.mesh import Mesh

CANDIDATES = 12
"""Triangles looked at per point, by the distance of their centers: enough for triangles of similar size."""


@dataclass(frozen=True, slots=True)
class OnSurface:
    """triangles: (N,). barycentric: (N, 3). points: (N, 3). distance: (N,)."""

    triangles: NDArray[np.int64]
    barycentric: Array
    points: Array
    distance: Array


class ClosestPoints:
    """Looks up closest points of one mesh, any number of times."""

    def __init__(self, mesh: Mesh) -> None:
        self._corners = mesh.vertices[mesh.triangles]
        self._tree = cKDTree(self._corners.mean(axis=1))
        normals = np.cross(
            self._corners[:, 1] - self._corners[:, 0], self._corners[:, 2] - self._corners[:, 0]
        )
        self.normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

    def of(self, points: Array) -> OnSurface:
        """For points (N, 3)."""
        count = min(CANDIDATES, len(self._corners))
        _, near = self._tree.query(points, k=count)
        near = np.asarray(near, dtype=np.int64).reshape(len(points), count)
        repeated = np.repeat(points, count, axis=0)
        weights = barycentric_of_closest(repeated, self._corners[near.reshape(-1)])
        found = np.einsum("nb,nbc->nc", weights, self._corners[near.reshape(-1)])
        distance = np.linalg.norm(found - repeated, axis=1).reshape(len(points), count)
        best = distance.argmin(axis=1)
        rows = np.arange(len(points)) * count + best
        return OnSurface(
            near[np.arange(len(points)), best],
            weights[rows],
            found[rows],
            distance[np.arange(len(points)), best],
        )


def barycentric_of_closest(points: Array, corners: Array) -> Array:
    """Weights (N, 3) of the point of each triangle (N, 3, 3) that is closest to its point (N, 3).

    The foot of the perpendicular where it lies inside; else the closest of the feet on the three edges.
    """
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    ap = points - a
    d00, d01, d11 = (np.einsum("nc,nc->n", x, y) for x, y in ((ab, ab), (ab, ac), (ac, ac)))
    d20, d21 = np.einsum("nc,nc->n", ap, ab), np.einsum("nc,nc->n", ap, ac)
    area = np.maximum(d00 * d11 - d01**2, 1e-18)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    inside = np.stack([1 - v - w, v, w], axis=1)
    best = inside
    outside = np.flatnonzero((inside < 0).any(axis=1))
    if len(outside):
        best = inside.copy()
        best[outside] = _on_edges(points[outside], corners[outside])
    return np.asarray(best)


def _on_edges(points: Array, corners: Array) -> Array:
    weights, distances = [], []
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, along = corners[:, first], corners[:, second] - corners[:, first]
        length = np.maximum(np.einsum("nc,nc->n", along, along), 1e-18)
        share = np.clip(np.einsum("nc,nc->n", points - start, along) / length, 0.0, 1.0)
        weight = np.zeros((len(points), 3))
        weight[:, first], weight[:, second] = 1 - share, share
        weights.append(weight)
        distances.append(np.linalg.norm(start + share[:, None] * along - points, axis=1))
    best = np.argmin(distances, axis=0)
    return np.asarray(np.stack(weights)[best, np.arange(len(points))])
