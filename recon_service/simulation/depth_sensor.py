"""The error-free depth camera: what a ray through every pixel meets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.geometry.raycast import SurfaceHits, raycast


@dataclass(frozen=True, slots=True)
class TrueDepth:
    """What a perfect depth camera would report.

    depth: (H, W) float64, millimetres along z, 0 where nothing is. cosine: (H, W), between ray and surface
    normal, 0 to 1. head: (H, W), True where the head (and not the wall) is seen.
    """

    depth: Array
    cosine: Array
    head: NDArray[np.bool_]


def true_depth(
    head: Mesh, camera: PinholeCamera, pose: HeadPose, *, wall_mm: float | None = None
) -> TrueDepth:
    """Ray-cast ``head`` (head frame, millimetres) at ``pose``; wall_mm: a plane z = wall_mm behind it, None
    for no return there.

    Raises InvalidValue if the head is behind the camera or the wall not behind the head.
    """
    posed = Mesh(pose.apply(head.vertices), head.triangles)
    if wall_mm is not None and wall_mm <= posed.vertices[:, 2].max():
        raise InvalidValue(f"the wall at {wall_mm:g} mm is not behind the head")
    hits: SurfaceHits = raycast(posed, camera)
    depth, cosine = hits.depth, hits.cosine
    if wall_mm is not None:
        v, u = np.mgrid[0 : camera.height, 0 : camera.width]
        rays = camera.rays(np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64))
        across = (1 / np.linalg.norm(rays, axis=1)).reshape(depth.shape)
        depth = np.where(hits.mask, depth, wall_mm)
        cosine = np.where(hits.mask, cosine, across)
    return TrueDepth(depth, cosine, hits.mask)
