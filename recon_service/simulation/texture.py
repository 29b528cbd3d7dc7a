"""A portrait's appearance on another head: rendered selfies of people who do not exist."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, shaped
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.fit import Fit
from recon_service.domain.images import FULL_FRAME_DIAGONAL_MM, Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.geometry.raycast import raycast
from recon_service.rendering.shading import enlarged
from recon_service.rendering.views import over

SUPERSAMPLING = 2


@dataclass(frozen=True, slots=True)
class PortraitTexture:
    """A portrait and where each vertex of a model lies in it.

    pixels: (V, 2) float64. Vertices that the portrait does not show (the far side of a turned head) carry
    what hides them: good for near-frontal portraits only. Lighting and gaze are the portrait's.
    """

    image: Image
    pixels: Array

    def __post_init__(self) -> None:
        shaped(self.pixels, "texture pixels", None, 2)

    @classmethod
    def from_fit(cls, image: Image, fit: Fit, model: MorphableModel, *, capture: int = 0) -> PortraitTexture:
        """The texture that a fit of ``image`` gives to every face of ``model``."""
        fitted = fit.captures[capture]
        posed = fitted.pose.apply(fit.mesh(model, capture=capture).vertices)
        return cls(image, fitted.camera.project(posed))


def render_selfie(
    head: Mesh, camera: PinholeCamera, pose: HeadPose, texture: PortraitTexture, *, backdrop: int = 120
) -> Image:
    """``head`` (head frame, millimetres, the texture's vertices) painted with ``texture`` before a gray wall.

    Eyes and mouth, which are holes of the dense model, are closed with flat patches that carry the portrait's
    eyes and lips. The image states its focal length, as a phone's file does. Raises InvalidValue for a head
    with other vertices than the texture's.
    """
    if len(texture.pixels) != len(head.vertices):
        raise InvalidValue(
            f"a texture of {len(texture.pixels)} vertices does not fit a head of {len(head.vertices)}"
        )
    closed, pixels = with_closed_holes(head, texture.pixels)
    posed = Mesh(pose.apply(closed.vertices), closed.triangles)
    fine = enlarged(camera, SUPERSAMPLING)
    hits = raycast(posed, fine)
    where = hits.interpolated(pixels, posed.triangles).astype(np.float32)
    painted = cv2.remap(
        texture.image.pixels, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = hits.mask.astype(np.float32)
    size = (camera.width, camera.height)
    coverage = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    color = cv2.resize(painted * alpha[..., None], size, interpolation=cv2.INTER_AREA)
    straight = color / np.maximum(coverage, 1e-6)[..., None]
    rgba = np.round(np.concatenate([straight, 255 * coverage[..., None]], axis=2)).astype(np.uint8)
    wall = _wall(camera, backdrop)
    focal_35mm = camera.fx * FULL_FRAME_DIAGONAL_MM / float(np.hypot(camera.width, camera.height))
    return Image(over(wall, rgba), focal_35mm=focal_35mm)


def with_closed_holes(mesh: Mesh, values: Array) -> tuple[Mesh, Array]:
    """``mesh`` with every hole but the outer border closed by a fan around its center, and values (V, C) for
    the new vertices.
    """
    holes = sorted(
        border_loops(mesh.triangles), key=lambda loop: float(np.ptp(mesh.vertices[loop], axis=0).max())
    )[:-1]
    if not holes:
        return mesh, values
    centers = np.stack([mesh.vertices[loop].mean(axis=0) for loop in holes])
    fans = []
    for number, loop in enumerate(holes):
        center = np.full(len(loop), len(mesh.vertices) + number)
        # Border edges run with their triangle; the fan's run against it, so that both are seen from the same
        # side.
        fans.append(np.stack([np.roll(loop, -1), loop, center], axis=1))
    vertices = np.concatenate([mesh.vertices, centers])
    extended = np.concatenate([values, np.stack([values[loop].mean(axis=0) for loop in holes])])
    return Mesh(vertices, np.concatenate([mesh.triangles, *fans])), extended


def border_loops(triangles: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The closed chains of edges that have a triangle on one side only, each in the direction of its
    triangles.
    """
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    _, inverse, counts = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
    following = {int(a): int(b) for a, b in edges[counts[inverse.ravel()] == 1]}
    loops = []
    while following:
        at = next(iter(following))
        loop = []
        while at in following:
            loop.append(at)
            at = following.pop(at)
        loops.append(np.array(loop, dtype=np.int64))
    return loops


def _wall(camera: PinholeCamera, level: int) -> NDArray[np.uint8]:
    """A gray wall, lighter in the middle: a perfectly even background is not what detectors have seen."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width]
    away = np.hypot((u - camera.cx) / camera.width, (v - camera.cy) / camera.height)
    gray = level * (1.15 - 0.6 * away)
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
