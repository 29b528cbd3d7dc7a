"""Operations on batches of pictures that the stages share. Coordinates are pixels (x, y); the center of the
top-left pixel is (0, 0).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sampled(images: Tensor, places: Tensor) -> Tensor:
    """(B, C, ...) values of images (B, C, H, W) at places (B, ..., 2), between pixels by the bilinear rule,
    beyond the border that of the nearest pixel.
    """
    height, width = images.shape[-2:]
    scale = places.new_tensor([2.0 / max(width - 1, 1), 2.0 / max(height - 1, 1)])
    grid = (places * scale - 1.0).reshape(len(places), 1, -1, 2)
    values = functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return values.reshape(*images.shape[:2], *places.shape[1:-1])


def blurred(images: Tensor, sd: float) -> Tensor:
    """Images (B, H, W) convolved with a Gaussian; mirrored about the pixels of the border.

    As two products with banded matrices: on a processor that takes a third of the time of a convolution, and
    on a graphics processor convolutions may be rounded to ten bits.
    """
    return _band(images.shape[1], sd, images) @ images @ _band(images.shape[2], sd, images).T


def _band(size: int, sd: float, like: Tensor) -> Tensor:
    """(size, size): row k holds the weights of the pixels that pixel k of a blurred line is made of."""
    reach = min(round(4 * sd), size - 1)
    offsets = torch.arange(-reach, reach + 1, device=like.device)
    weights = torch.exp(-0.5 * (offsets.to(like.dtype) / sd) ** 2)
    weights = weights / weights.sum()
    place = (torch.arange(size, device=like.device)[:, None] + offsets).abs()
    place = (size - 1) - ((size - 1) - place).abs()
    return like.new_zeros((size, size)).scatter_add_(1, place, weights.expand(size, -1))


def eroded(masks: Tensor, size: int) -> Tensor:
    """Masks (B, H, W) bool without what lies within ``size`` // 2 pixels of their edge or the border."""
    reach = size // 2
    outside = functional.pad((~masks)[:, None].float(), (reach,) * 4, value=1.0)
    return functional.max_pool2d(outside, size, stride=1)[:, 0] < 0.5


def slopes(images: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of images (B, H, W) across and down per pixel, smoothed along the other axis by
    (1, 2, 1) / 4.
    """
    framed = functional.pad(images[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = 0.5 * (framed[:, :, 2:] - framed[:, :, :-2])
    down = 0.5 * (framed[:, 2:] - framed[:, :-2])
    across = 0.25 * (across[:, :-2] + 2.0 * across[:, 1:-1] + across[:, 2:])
    down = 0.25 * (down[:, :, :-2] + 2.0 * down[:, :, 1:-1] + down[:, :, 2:])
    return across, down


def texels_of(shape: torch.Size, like: Tensor) -> Tensor:
    """(H, W, 2) coordinates of every pixel of pictures (..., H, W)."""
    rows = torch.arange(shape[-2], dtype=like.dtype, device=like.device)
    columns = torch.arange(shape[-1], dtype=like.dtype, device=like.device)
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([across, down], dim=-1)
