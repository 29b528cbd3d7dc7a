"""Clay shading: a matte surface under a warm key light, a cool fill light and an ambient sky, darker where it
is hidden from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import AnyArray, Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.mesh import Mesh
from recon_service.geometry.raycast import SurfaceHits, cast, raycast

SKY_RAYS = 32
"""Directions per vertex that ask how much of the sky it sees."""
SKY_REACH_MM = 45.0
"""A surface farther away than this does not darken."""
SKY_LIFT_MM = 0.5
"""Sky rays start this far above the surface, lest they meet their own triangle."""
SKY_STRENGTH = 0.9


@dataclass(frozen=True, slots=True)
class Light:
    """A distant light. direction: unit vector toward the light, camera frame. color: linear RGB."""

    direction: tuple[float, float, float]
    color: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Clay:
    """The material and its lights. color and ambient: linear RGB. softness: 0 hard Lambert, 1 light wraps
    around the form. inside: share of the light that reaches surfaces seen from behind (through an eye or
    between the lips of an open mesh).
    rim: strength of the bright line along the silhouette.
    """

    color: tuple[float, float, float] = (0.58, 0.49, 0.43)
    ambient: tuple[float, float, float] = (0.17, 0.19, 0.24)
    lights: tuple[Light, ...] = (
        Light((-0.62, -0.60, -0.50), (0.95, 0.90, 0.82)),
        Light((0.80, -0.10, -0.59), (0.13, 0.17, 0.25)),
    )
    softness: float = 0.10
    inside: float = 0.12
    rim: float = 0.12


COARSE_CLAY = Clay(inside=1.0, rim=0.0)
"""For the built-in model: its lids and lips overlap a little and would show dark and bright slivers."""


def shade(
    mesh: Mesh,
    camera: PinholeCamera,
    *,
    clay: Clay | None = None,
    sky: Array | None = None,
    supersampling: int = 3,
) -> NDArray[np.uint8]:
    """The mesh (camera frame) as ``camera`` sees it: (H, W, 4) uint8 sRGB with straight alpha, edges
    antialiased.

    sky: (V,) share of the sky that each vertex sees, from ``sky_visibility``; computed here when None.
    """
    fine = enlarged(camera, supersampling)
    hits = raycast(mesh, fine)
    linear = lit(
        mesh, hits, clay=clay or Clay(), sky=sky_visibility(mesh) if sky is None else sky, camera=fine
    )
    return downsampled(linear, hits.mask, supersampling)


def lit(mesh: Mesh, hits: SurfaceHits, *, clay: Clay, sky: Array, camera: PinholeCamera) -> Array:
    """Linear RGB (H, W, 3) of the points seen, zero elsewhere."""
    normals = hits.interpolated(mesh.vertex_normals(), mesh.triangles)
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)
    rows, columns = np.nonzero(hits.mask)
    views = -camera.rays(np.stack([columns, rows], axis=1).astype(np.float64))
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    facing = np.einsum("mc,mc->m", normals[hits.mask], views)
    shaded = normals[hits.mask] * np.where(facing < 0, -1.0, 1.0)[:, None]
    open_sky = hits.interpolated(sky, mesh.triangles)[hits.mask]
    # Ambient light comes mostly from above (camera y points down).
    light = np.asarray(clay.ambient) * (0.75 - 0.25 * shaded[:, 1:2]) * open_sky[:, None]
    for lamp in clay.lights:
        wrapped = (shaded @ np.asarray(lamp.direction) + clay.softness) / (1 + clay.softness)
        occlusion = 0.4 + 0.6 * open_sky[:, None]
        light = light + np.maximum(wrapped, 0.0)[:, None] * np.asarray(lamp.color) * occlusion
    light = light * np.where(facing < 0, clay.inside, 1.0)[:, None]
    # A thin bright rim lifts the silhouette off a dark background (Schlick's approximation of Fresnel
    # reflection).
    rim = np.where(facing < 0, 0.0, clay.rim * (1 - np.abs(facing)) ** 5)
    out = np.zeros((*hits.mask.shape, 3))
    out[hits.mask] = np.asarray(clay.color) * light + rim[:, None]
    return out


def sky_visibility(mesh: Mesh) -> Array:
    """(V,) in [0, 1]: how much of the half-space above each vertex is free within ``SKY_REACH_MM`` (ambient
    occlusion).
    """
    normals = mesh.vertex_normals()
    directions = _sphere(SKY_RAYS)
    dirs = np.repeat(directions[None], len(normals), axis=0)
    cosines = np.einsum("vc,rc->vr", normals, directions)
    dirs = dirs * np.where(cosines < 0, -1.0, 1.0)[..., None]
    starts = np.repeat((mesh.vertices + SKY_LIFT_MM * normals)[:, None], SKY_RAYS, axis=1)
    triangle, _, distance, _ = cast(mesh, dirs.reshape(-1, 3), origins=starts.reshape(-1, 3))
    near = np.where(triangle >= 0, np.clip(1 - distance / SKY_REACH_MM, 0.0, 1.0), 0.0).reshape(
        len(normals), SKY_RAYS
    )
    weights = np.abs(cosines)
    hidden = (near * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
    return np.asarray(1 - SKY_STRENGTH * hidden)


def enlarged(camera: PinholeCamera, factor: float) -> PinholeCamera:
    """The camera with ``factor`` times as many pixels each way, of the same field of view."""
    return PinholeCamera(
        width=max(1, round(camera.width * factor)),
        height=max(1, round(camera.height * factor)),
        fx=camera.fx * factor,
        fy=camera.fy * factor,
        # Pixel centers are integers: the corner of the first pixel is (-0.5, -0.5).
        cx=(camera.cx + 0.5) * factor - 0.5,
        cy=(camera.cy + 0.5) * factor - 0.5,
        distortion=camera.distortion,
    )


def downsampled(linear: Array, coverage: AnyArray, factor: int) -> NDArray[np.uint8]:
    """Linear RGB (H·f, W·f, 3) and its coverage (H·f, W·f), 0 to 1 or bool, as sRGB with straight alpha, (H,
    W, 4) uint8.

    Means over blocks of f x f pixels, so that edges are soft.
    """
    size = (coverage.shape[1] // factor, coverage.shape[0] // factor)
    weighted = linear * coverage[..., None]
    coverage = cv2.resize(coverage.astype(np.float64), size, interpolation=cv2.INTER_AREA)
    color = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
    straight = color / np.maximum(coverage, 1e-9)[..., None]
    rgba = np.concatenate([srgb(straight), coverage[..., None]], axis=2)
    return np.asarray(np.round(255 * rgba), dtype=np.uint8)


def srgb(linear: Array) -> Array:
    """Linear light in [0, 1] to sRGB in [0, 1] (IEC 61966-2-1); values near and beyond 1 roll off."""
    soft = np.where(linear > 0.8, 0.8 + 0.2 * np.tanh((linear - 0.8) / 0.2), np.maximum(linear, 0.0))
    return np.asarray(
        np.where(soft <= 0.0031308, 12.92 * soft, 1.055 * np.maximum(soft, 1e-9) ** (1 / 2.4) - 0.055)
    )


def _sphere(count: int) -> Array:
    """``count`` directions evenly over the sphere (Fibonacci spiral)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    phi = np.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - z**2)
    return np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=1)
