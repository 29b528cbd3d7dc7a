"""The motion of skin between many pairs of textures, forth and back: ``recon_service.matching.flow`` in
batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recon_service.matching.batched.images import blurred, sampled, slopes, texels_of
from recon_service.matching.batched.inverse_search import inverse_search
from recon_service.matching.flow import FLAT, NEIGHBORHOOD


@dataclass(frozen=True, slots=True)
class Motions:
    """At N texels of P pairs. motion: (P, N, 2) texels. disagreement: (P, N) texels between the flow forth
    and the flow back. likeness: (P, N) correlation of the neighborhoods once the motion is undone.
    """

    motion: Tensor
    disagreement: Tensor
    likeness: Tensor


def motions_of(first: Tensor, second: Tensor, texels: Tensor, *, patches_at_once: int) -> Motions:
    """The motion of the skin at texels (N, 2) (x, y) of first (P, H, W), gray levels about a local mean of 0,
    to second: the mean of the flow forth and the flow back.
    """
    count = len(first)
    flow = inverse_search(
        torch.cat([first, second]), torch.cat([second, first]), patches_at_once=patches_at_once
    )
    forth, back = flow[:count], flow[count:]
    columns, rows = texels.unbind(1)
    move = forth[:, rows, columns]
    there = sampled(back.permute(0, 3, 1, 2), texels + move).transpose(1, 2)
    return Motions(
        (move - there) / 2,
        torch.linalg.norm(move + there, dim=-1),
        _likeness(first, second, forth)[:, rows, columns],
    )


def textured(images: Tensor) -> Tensor:
    """(P, H, W): mean square of the slopes around each pixel."""
    across, down = slopes(images)
    return blurred(across**2 + down**2, NEIGHBORHOOD)


def _likeness(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
    """(P, H, W) correlation of the neighborhoods of each texel of the first and of where it went."""
    moved = sampled(second[:, None], texels_of(first.shape, first) + flow)[:, 0]
    together, one, other = (blurred(part, NEIGHBORHOOD) for part in (first * moved, first**2, moved**2))
    return together / torch.sqrt(one.clamp_min(FLAT) * other.clamp_min(FLAT))
