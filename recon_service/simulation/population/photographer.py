"""A figure as a pinhole camera sees it: linear light, antialiased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.simulation.population.anatomy import EYE_RADIUS_MM, Figure, Part
from recon_service.simulation.population.appearance import Floats, SurfacePoints, radiance, unit_rows
from recon_service.simulation.population.light import Lighting, Occluder
from recon_service.simulation.population.shape import DenseBasis
from recon_service.simulation.population.skin import Skin
from recon_service.simulation.population.unwrapped import unwrapped_pixels

EDGE_MM: Final = 4.0
"""Neighboring pixels whose depths differ by more are an edge and are seen with more rays."""
FAN: Final = ((-0.25, -0.375), (0.375, -0.25), (-0.375, 0.25), (0.25, 0.375))
"""Rays of an edge pixel, in pixels from its center: a rotated square grid."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A figure before a camera, in some light. sky: (K,) what each vertex sees of it, which hardly changes
    with the expression.
    """

    figure: Figure
    sky: Floats
    pose: HeadPose
    camera: PinholeCamera
    lighting: Lighting
    skin: Skin
    tiles: Floats


@dataclass(frozen=True, slots=True)
class _Hits:
    triangle: NDArray[np.int32]
    u: Floats
    v: Floats
    distance: Floats


def photographed(
    scene: Scene, basis: DenseBasis, backdrop: Floats, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """Linear RGB (H, W, 3) float32 before a ``backdrop`` (H, W, 3), and where the face is skin, (H, W)."""
    camera = scene.camera
    posed = Mesh(scene.pose.apply(scene.figure.mesh.vertices), scene.figure.mesh.triangles)
    attributes = _attributes(scene, basis, posed, rng)
    embree = EmbreeScene()
    TriangleMesh(embree, np.ascontiguousarray(posed.vertices[posed.triangles], dtype=np.float32))
    left, top, right, bottom = _window(posed, camera)
    row, column = np.mgrid[top:bottom, left:right].astype(np.float32)
    shape = row.shape
    rays = _rays(camera, column.ravel(), row.ravel())
    hits = _cast(embree, rays)
    edge = _edges(hits, scene.figure, shape)
    color = np.zeros((len(rays), 3), np.float32)
    cover = (hits.triangle >= 0).astype(np.float32)
    plain = np.flatnonzero((hits.triangle >= 0) & ~edge)
    color[plain] = _colors(scene, posed, attributes, rays[plain], _taken(hits, plain))
    where = np.flatnonzero(edge)
    cover[where] = 0
    fan = np.array(FAN, np.float32)
    fine = _rays(
        camera,
        (column.ravel()[where] + fan[:, :1]).ravel(),
        (row.ravel()[where] + fan[:, 1:]).ravel(),
    )
    again = _cast(embree, fine)
    met = np.flatnonzero(again.triangle >= 0)
    parts = np.zeros((len(fine), 4), np.float32)
    parts[met, :3] = _colors(scene, posed, attributes, fine[met], _taken(again, met))
    parts[met, 3] = 1
    mean = parts.reshape(len(FAN), len(where), 4).mean(axis=0)
    color[where], cover[where] = mean[:, :3], mean[:, 3]
    out = backdrop.copy()
    window = out[top:bottom, left:right]
    window *= (1 - cover).reshape(*shape, 1)
    window += color.reshape(*shape, 3)
    skin = np.zeros(backdrop.shape[:2], bool)
    skin[top:bottom, left:right] = (
        (hits.triangle >= 0) & (scene.figure.part[np.maximum(hits.triangle, 0)] == Part.SKIN)
    ).reshape(shape)
    return out, skin


def _attributes(scene: Scene, basis: DenseBasis, posed: Mesh, rng: np.random.Generator) -> Floats:
    """(K, 11 + L) per vertex: place and normal on the mean head, place unwrapped, normal in the camera frame,
    free sky, and the share of each lamp.
    """
    occluder = Occluder(posed)
    count, skin = len(posed.vertices), len(basis.mean)
    rest = scene.figure.mesh.vertices.astype(np.float32).copy()
    rest[:skin] = basis.mean
    rest_normals = scene.figure.mesh.vertex_normals().astype(np.float32)
    unwrapped = np.zeros((count, 2), np.float32)
    unwrapped[:skin] = unwrapped_pixels(basis.mean)
    lamps = [occluder.lamp(lamp, rng)[:, None] for lamp in scene.lighting.lamps]
    return np.concatenate(
        [rest, rest_normals, unwrapped, occluder.normals.astype(np.float32), scene.sky[:, None], *lamps],
        axis=1,
        dtype=np.float32,
    )


def _colors(scene: Scene, posed: Mesh, attributes: Floats, rays: Floats, hits: _Hits) -> Floats:
    corners = posed.triangles[hits.triangle]
    part = scene.figure.part[hits.triangle]
    u, v = hits.u[:, None], hits.v[:, None]
    at = (
        attributes[corners[:, 0]] * (1 - u - v)
        + attributes[corners[:, 1]] * u
        + attributes[corners[:, 2]] * v
    )
    return radiance(
        SurfacePoints(
            part=part,
            rest=at[:, :3],
            rest_normal=unit_rows(at[:, 3:6]),
            unwrapped=at[:, 6:8],
            normal=unit_rows(at[:, 8:11]),
            view=unit_rows(-rays),
            sky=at[:, 11],
            lamps=at[:, 12:],
            eye_axis=_eye_axis(scene, part, rays * hits.distance[:, None]),
        ),
        scene.skin,
        scene.tiles,
        scene.lighting,
    )


def _eye_axis(scene: Scene, part: NDArray[np.int8], points: Floats) -> Floats:
    """(N,) angle from the axis of the eye, which looks into the lens; large for other parts."""
    out = np.full(len(part), 9.0, np.float32)
    centers = scene.pose.apply(scene.figure.eyes)
    for center, eye in zip(centers, (Part.RIGHT_EYE, Part.LEFT_EYE), strict=True):
        of = np.flatnonzero(part == eye)
        gaze = -center / np.linalg.norm(center)
        cosine = (points[of] - center.astype(np.float32)) @ gaze.astype(np.float32) / EYE_RADIUS_MM
        out[of] = np.arccos(np.clip(cosine, -1, 1))
    return out


def _edges(hits: _Hits, figure: Figure, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,): pixels beside a jump in depth or a change of part."""
    part = np.where(hits.triangle >= 0, figure.part[np.maximum(hits.triangle, 0)], -1)
    part = part.reshape(shape).astype(np.float32)
    depth = np.where(hits.triangle >= 0, hits.distance, 1e4).reshape(shape).astype(np.float32)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    jump = cv2.dilate(depth, cross) - cv2.erode(depth, cross) > EDGE_MM
    change = cv2.dilate(part, cross) != cv2.erode(part, cross)
    return np.asarray((jump | change).ravel())


def _window(posed: Mesh, camera: PinholeCamera) -> tuple[int, int, int, int]:
    pixels = camera.project(posed.vertices)
    left, top = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.ceil(pixels.max(axis=0)).astype(int) + 3
    return int(left), int(top), min(int(right), camera.width), min(int(bottom), camera.height)


def _rays(camera: PinholeCamera, column: Floats, row: Floats) -> Floats:
    """(N, 3) with z = 1. The phone's software has taken the distortion out."""
    x = (column - np.float32(camera.cx)) / np.float32(camera.fx)
    y = (row - np.float32(camera.cy)) / np.float32(camera.fy)
    return np.stack([x, y, np.ones_like(x)], axis=1)


def _cast(scene: EmbreeScene, rays: Floats) -> _Hits:
    found = scene.run(np.zeros_like(rays), np.ascontiguousarray(rays), query="INTERSECT", output=1)
    return _Hits(found["primID"], found["u"], found["v"], found["tfar"])


def _taken(hits: _Hits, rows: NDArray[np.int64]) -> _Hits:
    return _Hits(hits.triangle[rows], hits.u[rows], hits.v[rows], hits.distance[rows])
