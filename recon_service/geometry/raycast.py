"""What a camera sees of a mesh: per pixel the triangle, the point on it, and its depth (by Embree)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from recon_service.domain.arrays import AnyArray, Array, crossed, finite, shaped
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.mesh import Mesh

MARGIN_PX = 2
"""Rays are shot this far around the projected vertices; beyond it nothing can be hit."""


@dataclass(frozen=True, slots=True)
class SurfaceHits:
    """The first surface on the ray through the center of every pixel.

    triangle: (H, W) int64, index of the triangle, -1 where the ray meets nothing. barycentric: (H, W, 3)
    float64, weights of the triangle's corners, zero where nothing is met. depth: (H, W) float64, millimetres
    along z (not along the ray), 0 where nothing. cosine: (H, W) float64, between the ray and the triangle's
    normal, 0 to 1 (either side), 0 where nothing.
    """

    triangle: NDArray[np.int64]
    barycentric: Array
    depth: Array
    cosine: Array

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W): where the mesh is seen."""
        return self.triangle >= 0

    def interpolated(self, values: AnyArray, triangles: NDArray[np.int64]) -> AnyArray:
        """Values per vertex, (V,) or (V, C), at the points seen: (H, W) or (H, W, C), zero where nothing is
        seen.
        """
        mask = self.mask
        corners = values[triangles[self.triangle[mask]]]
        weights = self.barycentric[mask]
        seen = np.einsum("mb,mb...->m...", weights, corners)
        out = np.zeros((*mask.shape, *values.shape[1:]), dtype=np.float64)
        out[mask] = seen
        return out


def raycast(mesh: Mesh, camera: PinholeCamera) -> SurfaceHits:
    """Cast a ray through every pixel center of ``camera`` onto ``mesh`` (camera frame, millimetres, wholly in
    front: z > 0).

    The lens distortion is honored: rays come from ``camera.rays``. Embree finds the triangle in single
    precision; depth and barycentric weights are computed from it in double precision, so that points lie on
    the mesh to rounding.

    Raises InvalidValue if a vertex lies behind the camera.
    """
    shape = (camera.height, camera.width)
    triangle = np.full(shape, -1, dtype=np.int64)
    barycentric, depth, cosine = np.zeros((*shape, 3)), np.zeros(shape), np.zeros(shape)
    window = _window(mesh, camera)
    if window is not None and len(mesh.triangles):
        rows, columns = window
        v, u = np.mgrid[rows, columns]
        rays = camera.rays(np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64))
        t, b, z, c = cast(mesh, rays)
        triangle[rows, columns] = t.reshape(u.shape)
        barycentric[rows, columns] = b.reshape(*u.shape, 3)
        depth[rows, columns] = z.reshape(u.shape)
        cosine[rows, columns] = c.reshape(u.shape)
    return SurfaceHits(triangle, barycentric, depth, cosine)


def cast(
    mesh: Mesh, rays: Array, *, origins: Array | None = None
) -> tuple[NDArray[np.int64], Array, Array, Array]:
    """First hit of rays (N, 3) from ``origins`` (N, 3), by default the camera center.

    Returns the triangle (N,) (-1: none), barycentric weights (N, 3), the distance (N,) in units of the ray's
    own length (so that rays with z = 1 from the camera give the depth along z; 0: none) and the cosine (N,)
    between ray and normal.
    """
    finite(shaped(rays, "rays", None, 3), "rays")
    starts = (
        np.zeros_like(rays)
        if origins is None
        else finite(shaped(origins, "origins", len(rays), 3), "origins")
    )
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, np.ascontiguousarray(mesh.vertices[mesh.triangles], dtype=np.float32))
    hit = scene.run(
        np.ascontiguousarray(starts, dtype=np.float32), np.ascontiguousarray(rays, dtype=np.float32)
    )
    triangle = np.asarray(hit, dtype=np.int64)
    seen = triangle >= 0
    barycentric, distance, cosine = np.zeros((len(rays), 3)), np.zeros(len(rays)), np.zeros(len(rays))
    corners = mesh.vertices[mesh.triangles[triangle[seen]]]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = crossed(first, second)
    along = np.einsum("nc,nc->n", normal, rays[seen])
    # Embree never reports a triangle exactly edge-on; the guard is for triangles that single precision saw
    # and double does not.
    along = np.where(np.abs(along) < 1e-300, 1e-300, along)
    lengths = np.einsum("nc,nc->n", normal, corners[:, 0] - starts[seen]) / along
    points = starts[seen] + lengths[:, None] * rays[seen]
    inside = points - corners[:, 0]
    area = np.maximum(np.einsum("nc,nc->n", normal, normal), 1e-300)
    b1 = np.einsum("nc,nc->n", crossed(inside, second), normal) / area
    b2 = np.einsum("nc,nc->n", crossed(first, inside), normal) / area
    barycentric[seen] = np.stack([1 - b1 - b2, b1, b2], axis=1)
    distance[seen] = lengths
    cosine[seen] = np.abs(along) / (np.sqrt(area) * np.linalg.norm(rays[seen], axis=1))
    return triangle, barycentric, distance, cosine


def _window(mesh: Mesh, camera: PinholeCamera) -> tuple[slice, slice] | None:
    """The rows and columns of the image that the mesh may cover, None when it lies outside."""
    if not len(mesh.vertices):
        return None
    if mesh.vertices[:, 2].min() <= 0:
        raise InvalidValue(
            "the mesh lies partly behind the camera", next_step="Pose the mesh in front of it: z > 0."
        )
    pixels = camera.project(mesh.vertices)
    left, top = np.floor(pixels.min(axis=0)).astype(int) - MARGIN_PX
    right, bottom = np.ceil(pixels.max(axis=0)).astype(int) + MARGIN_PX + 1
    if any(camera.distortion):  # a distorted edge may bulge beyond its end points
        left, top, right, bottom = 0, 0, camera.width, camera.height
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, camera.width), min(bottom, camera.height)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None
