"""Taking the light out of many face pictures at once: ``recon_service.matching.shading`` in batches."""

from __future__ import annotations

import torch
from torch import Tensor

from recon_service.matching.shading import DARKEST, OUTLIER, ROUNDS

RIDGE = 1e-6
"""Per node, on the diagonal of the normal equations."""


def shading_of(brightness: Tensor, normals: Tensor, seen: Tensor) -> Tensor:
    """(B, N) the part of brightness (B, N) that a light on matte skin with unit normals (B, N, 3) explains,
    mean 1 over what is seen (B, N) bool, and 1 elsewhere.
    """
    basis = _harmonics(normals)
    count = seen.sum(1).clamp_min(1)
    share = seen.to(brightness.dtype)
    weight, explained = share, torch.zeros_like(brightness)
    diagonal = torch.eye(basis.shape[-1], dtype=torch.float64, device=basis.device)
    for _ in range(ROUNDS):
        weighted = (basis * weight[..., None]).transpose(1, 2)
        # The harmonics of the half of the directions that a camera sees are nearly dependent.
        system = (weighted @ basis).double() + RIDGE * count[:, None, None] * diagonal
        right = (weighted @ brightness[..., None]).double()
        explained = (basis @ torch.linalg.solve(system, right).to(basis.dtype))[..., 0]
        residual = brightness - explained
        size = torch.where(seen, residual.abs(), torch.nan).nanmedian(1, keepdim=True).values
        scale = 1.4826 * torch.nan_to_num(size) + 1e-6
        weight = share / (1.0 + (residual / (OUTLIER * scale)) ** 2)
    mean = ((explained * share).sum(1) / count).clamp_min(1e-6)
    return torch.where(seen, (explained / mean[:, None]).clamp_min(DARKEST), 1.0)


def _harmonics(normals: Tensor) -> Tensor:
    """(B, N, 9): constant, linear and quadratic harmonics, unnormalized."""
    x, y, z = normals.unbind(-1)
    return torch.stack(
        [torch.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], dim=-1
    )
