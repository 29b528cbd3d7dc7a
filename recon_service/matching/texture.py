"""One picture unrolled onto the skin of the current fit, its light taken out: ready for optical flow."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.fit import CaptureFit
from recon_service.matching.shading import DARKEST, shading
from recon_service.matching.unrolled import Float32, UnrolledSkin
from recon_service.matching.view import FaceView, evened

WHOLE = 0.99
"""A texel is seen when all nodes around it are."""


@dataclass(frozen=True, slots=True)
class SkinTexture:
    """What one picture shows of the unrolled skin.

    pixels: (H, W) uint8, contrast evened, MIDDLE where nothing is seen. mask: (H, W) uint8, 1 where skin is
    seen. pictured: (H, W, 2) float32, pixel of the working view that shows each texel. nodes: (N, 2) pixel
    of the picture that shows each node. seen: (N,).
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    pictured: Float32
    nodes: Array
    seen: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        view: FaceView,
        fitted: CaptureFit,
        skin: UnrolledSkin,
        neutral: Float32,
        *,
        min_facing: float,
        blur: float,
    ) -> SkinTexture:
        """min_facing: cosine between normal and line of sight under which skin counts as hidden. blur: as
        for ``evened``, in texels. Skin behind the nose is not told from skin beside it: matches there
        disagree forth and back.
        """
        points = fitted.pose.apply(skin.posed(neutral, fitted.expression))
        normals = skin.normals(points)
        facing = -np.einsum("nc,nc->n", normals, points) / np.sqrt(np.einsum("nc,nc->n", points, points))
        nodes = fitted.camera.project(points)
        working = view.to_working(nodes)
        height, width = view.gray.shape
        across, down = working.T
        inside = (across >= 0) & (across <= width - 1) & (down >= 0) & (down <= height - 1)
        seen = (facing > min_facing) & inside
        pictured = skin.spread(working)
        mask = skin.spread_mask(seen)
        gray = cv2.remap(
            view.gray, pictured[..., 0], pictured[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        lit = np.ones(len(points))
        if seen.any():
            rows, columns = skin.texels
            lit[seen] = shading(gray[rows[seen], columns[seen]].astype(np.float64), normals[seen])
        light = np.maximum(skin.spread(lit, outside=1.0), DARKEST)
        pixels = evened(np.asarray(gray / light, dtype=np.float32), mask, blur=blur)
        return cls(pixels, mask, pictured, nodes, seen)
