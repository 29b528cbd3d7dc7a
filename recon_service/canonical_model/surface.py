"""Which points of a model depth evidence looks at: skin that a camera in front sees, evenly spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon_service.domain.arrays import Array

MIN_FACING = 0.15
"""Smallest z of the outward normal in the head frame: leaves out the inside of lips and lids and the back
of the jaw.
"""

HIDING_RADIUS_MM, HIDING_DEPTH_MM = 3.0, 8.0
"""A vertex is hidden if another one within this distance across the view lies so much nearer to the camera;
the steepest skin, the side of the nose, rises less.
"""

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
    eligible &= (normals[:, 2] > MIN_FACING) & ~near_border(triangles, len(mean)) & ~hidden_from_front(mean)
    candidates = np.flatnonzero(eligible)
    points = mean[candidates]
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    for _ in range(min(count, len(candidates)) - 1):
        farthest = int(distance.argmax())
        chosen.append(farthest)
        np.minimum(distance, np.linalg.norm(points - points[farthest], axis=1), out=distance)
    return np.asarray(candidates[np.sort(chosen)])


def hidden_from_front(mean: Array) -> NDArray[np.bool_]:
    """(V,) True where another part of the face stands before the vertex: nostrils, folds of the jaw."""
    neighbors = cKDTree(mean[:, :2]).query_ball_point(mean[:, :2], HIDING_RADIUS_MM)
    front = np.array([mean[near, 2].max() for near in neighbors])
    return np.asarray(front - mean[:, 2] > HIDING_DEPTH_MM)


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
