"""Many pictures unrolled onto the skin at once, their light taken out: ``recon_service.matching.texture`` in
batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recon_service.domain.fit import CaptureFit
from recon_service.matching.batched.cameras import BatchedCameras
from recon_service.matching.batched.images import blurred, sampled
from recon_service.matching.batched.shading import shading_of
from recon_service.matching.batched.skin import DeviceSkin
from recon_service.matching.shading import DARKEST
from recon_service.matching.texture import WHOLE
from recon_service.matching.view import CONTRAST, MIDDLE, SPREAD_FLOOR, FaceView


@dataclass(frozen=True, slots=True)
class SkinTextures:
    """What V pictures show of the unrolled skin.

    pixels: (V, H, W) float32, contrast evened, whole gray levels about a local mean of 0; 0 where nothing is
    seen. mask: (V, H, W) bool. pictured: (V, 2, H, W) pixel of the working view that shows each texel. nodes:
    (V, N, 2) pixel of the working view that shows each node. seen: (V, N) bool.
    """

    pixels: Tensor
    mask: Tensor
    pictured: Tensor
    nodes: Tensor
    seen: Tensor

    @classmethod
    def of(
        cls,
        views: Sequence[FaceView],
        captures: Sequence[CaptureFit],
        identities: Tensor,
        skin: DeviceSkin,
        *,
        min_facing: float,
        blur: float,
    ) -> SkinTextures:
        """identities: (V, K) of the person in each view. min_facing, blur: as for ``SkinTexture.of``."""
        device = identities.device
        expression = torch.from_numpy(np.stack([c.expression for c in captures]).astype(np.float32))
        cameras = BatchedCameras.of(captures, views, device)
        points = cameras.posed(skin.points(identities, expression.to(device)))
        normals = skin.normals(points)
        facing = -(normals * points).sum(-1) / torch.linalg.norm(points, dim=-1)
        nodes = cameras.project(points)
        last = (cameras.size - 1)[:, None]
        seen = (facing > min_facing) & ((nodes >= 0) & (nodes <= last)).all(-1)
        pictured = skin.spread(nodes)
        mask = skin.spread(seen[..., None].float())[:, 0] > WHOLE
        # Views are of different sizes on one canvas: each ends where its own last pixel is.
        inside = torch.minimum(pictured.permute(0, 2, 3, 1).clamp_min(0.0), last[:, None])
        gray = sampled(_canvas(views, device), inside)[:, 0]
        columns, rows = skin.texels.unbind(1)
        lit = shading_of(gray[:, rows, columns], normals, seen)
        light = skin.spread(lit[..., None], outside=1.0)[:, 0].clamp_min(DARKEST)
        return cls(_evened(gray / light, mask, blur), mask, pictured, nodes, seen)


def _canvas(views: Sequence[FaceView], device: torch.device) -> Tensor:
    """(V, 1, h, w) float32: the views, each in the top-left corner."""
    height, width = np.max([view.gray.shape for view in views], axis=0)
    canvas = np.zeros((len(views), 1, height, width), dtype=np.float32)
    for k, view in enumerate(views):
        canvas[k, 0, : view.gray.shape[0], : view.gray.shape[1]] = view.gray
    return torch.from_numpy(canvas).to(device)


def _evened(gray: Tensor, mask: Tensor, blur: float) -> Tensor:
    """``recon_service.matching.view.evened`` of (V, H, W), less MIDDLE. Whole gray levels as there, so that
    what is left of a picture without texture is none.
    """
    inside = mask.float()
    mean = blurred(gray * inside, blur) / (blurred(inside, blur) + 1e-3)
    detail = (gray - mean) * inside
    wider = 1.33 * blur
    spread = torch.sqrt(blurred(detail**2, wider) / (blurred(inside, wider) + 1e-3)) + SPREAD_FLOOR
    return (CONTRAST * detail / spread).round().clamp(-MIDDLE, 255 - MIDDLE)
