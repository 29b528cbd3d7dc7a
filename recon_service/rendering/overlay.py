"""The fitted mesh laid over the selfie it came from: the picture that shows at a glance whether a fit is
right.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.fit import CaptureFit
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.geometry.raycast import SurfaceHits, raycast
from recon_service.rendering.shading import COARSE_CLAY, Clay, downsampled, enlarged, lit, sky_visibility
from recon_service.rendering.views import over, png

FRAME = 1.7
"""Height of the picture's part shown, in heights of the face."""
SUPERSAMPLING = 2
WIRE_SRGB = np.array([150, 236, 255])
MIN_EDGE_PX = 7.0
"""A wire is drawn only where the median edge of the mesh is at least this long; denser ones would look like
fog."""
FADE_MM = (9.0, 22.0)
"""The overlay is opaque up to the first distance from the surface points, and gone at the second."""
CONTOUR_MM = 5.0
"""Spacing of the contour lines that a denser mesh gets instead."""


def overlay_png(
    image: Image,
    mesh: Mesh,
    camera: PinholeCamera,
    *,
    height: int = 640,
    opacity: float = 0.82,
    focus: Array | None = None,
) -> bytes:
    """PNG bytes: the face of ``image`` beside the same picture with the mesh over it.

    mesh: in the camera frame, millimetres. camera: of the whole image, with the fitted focal length. height:
    of the result in pixels. opacity: of the clay. focus: (V,) in [0, 1], how much each vertex belongs to the
    face proper (``face_focus``): the rest (neck, ears, back of the head) is not drawn. A coarse mesh shows
    its edges, a dense one contour lines of the distance.
    """
    weights = np.ones(len(mesh.vertices)) if focus is None else focus
    left, top, side_w, side_h = _frame(image, camera.project(mesh.vertices[weights > 0.5]))
    zoom = height / side_h
    crop = camera.cropped(left=left, top=top, width=side_w, height=side_h)
    photograph = _resized(image.pixels[top : top + side_h, left : left + side_w], zoom)
    rgba = clay_with_lines(mesh, enlarged(crop, zoom), focus=weights)
    rgba = rgba[: photograph.shape[0], : photograph.shape[1]]
    gap = np.full((photograph.shape[0], 6, 3), 16, dtype=np.uint8)
    return png(np.concatenate([photograph, gap, over(photograph, rgba, opacity=opacity)], axis=1))


def fit_overlay(image: Image, fitted: CaptureFit, mesh: Mesh, model: MorphableModel) -> bytes:
    """PNG bytes: ``overlay_png`` of one capture of a fit. mesh: with its expression, head frame."""
    posed = Mesh(fitted.pose.apply(mesh.vertices), mesh.triangles)
    return overlay_png(image, posed, fitted.camera, height=400, focus=face_focus(model))


def face_focus(model: MorphableModel) -> Array:
    """(V,) in [0, 1]: 1 on the front of the face, falling to 0 within ``FADE_MM`` beyond the model's surface
    points.
    """
    mean = model.vertices.mean
    distance, _ = cKDTree(mean[model.surface]).query(mean)
    # Eyes and lips are no surface points, but they lie within the face: only what is farther away than that
    # fades.
    return np.asarray(np.clip((FADE_MM[1] - distance) / (FADE_MM[1] - FADE_MM[0]), 0.0, 1.0))


def clay_with_lines(mesh: Mesh, camera: PinholeCamera, *, focus: Array) -> NDArray[np.uint8]:
    """The mesh in clay with thin lines on it, (H, W, 4) uint8 sRGB with straight alpha."""
    fine = enlarged(camera, SUPERSAMPLING)
    hits = raycast(mesh, fine)
    coarse = _median_edge(mesh, camera) >= MIN_EDGE_PX
    linear = lit(mesh, hits, clay=COARSE_CLAY if coarse else Clay(), sky=sky_visibility(mesh), camera=fine)
    alpha = hits.interpolated(focus, mesh.triangles)
    rgba = downsampled(linear, alpha, SUPERSAMPLING)
    if coarse:
        strength = _wires(mesh, fine, hits)
    else:
        distance = hits.interpolated(mesh.vertices[:, 2] - mesh.vertices[:, 2].min(), mesh.triangles)
        strength = _contours(distance, hits.mask)
    lines = cv2.resize(strength, (camera.width, camera.height), interpolation=cv2.INTER_AREA)[..., None]
    rgba[..., :3] = np.round(rgba[..., :3] * (1 - lines) + WIRE_SRGB * lines)
    return rgba


def _wires(mesh: Mesh, camera: PinholeCamera, hits: SurfaceHits) -> Array:
    """Strength (H, W) of the edges: the distance to an edge is the barycentric weight times the triangle's
    height, in pixels.
    """
    pixels = camera.project(mesh.vertices)[mesh.triangles]
    edges = np.roll(pixels, -2, axis=1) - np.roll(pixels, -1, axis=1)  # the edge opposite each corner
    double_area = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
    altitude = double_area[:, None] / np.maximum(np.linalg.norm(edges, axis=2), 1e-9)
    out = np.zeros(hits.mask.shape)
    distance = (hits.barycentric[hits.mask] * altitude[hits.triangle[hits.mask]]).min(axis=1)
    out[hits.mask] = 0.62 * np.clip(1.3 - distance / 1.1, 0.0, 1.0)
    return out


def _contours(level: Array, mask: NDArray[np.bool_]) -> Array:
    """Strength (H, W) of lines at equal steps of ``level``, of the same width in pixels wherever the surface
    leans.
    """
    step = level / CONTOUR_MM
    slope = np.hypot(*np.gradient(step))
    away = np.abs(step - np.round(step)) / np.maximum(slope, 1e-6)
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    # Where lines would come closer than a few pixels (the silhouette), they fade out.
    fade = np.clip(1.6 - 4.0 * slope, 0.0, 1.0)
    return np.where(inside, 0.75 * np.clip(1.5 - away / 1.2, 0.0, 1.0) * fade, 0.0)


def _median_edge(mesh: Mesh, camera: PinholeCamera) -> float:
    corners = camera.project(mesh.vertices)[mesh.triangles]
    return float(np.median(np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)))


def _frame(image: Image, pixels: Array) -> tuple[int, int, int, int]:
    """(left, top, width, height) of the part of the image to show: the face with some surroundings, 4:5,
    inside the image.
    """
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    tall = FRAME * max(high[1] - low[1], (high[0] - low[0]) / 0.8)
    tall = min(tall, image.height, image.width / 0.8)
    wide = 0.8 * tall
    left = float(np.clip((low[0] + high[0] - wide) / 2, 0, image.width - wide))
    top = float(np.clip((low[1] + high[1] - tall) / 2, 0, image.height - tall))
    return int(left), int(top), max(1, int(wide)), max(1, int(tall))


def _resized(pixels: NDArray[np.uint8], zoom: float) -> NDArray[np.uint8]:
    size = (max(1, round(pixels.shape[1] * zoom)), max(1, round(pixels.shape[0] * zoom)))
    method = cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, size, interpolation=method), dtype=np.uint8)
