"""The network in torch; see PROVENANCE.md."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-6
POSITION_EPS = 1e-6
POSITION_CHANNELS = 32
HEADS = 4
KERNELS = (3, 5, 7, 9)
SCALES = (2, 2, 3, 4)


@dataclass(frozen=True)
class Size:
    """Blocks and channels of each of the four stages."""

    depths: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]


SIZES = {
    "xs": Size((3, 3, 9, 3), (32, 64, 100, 192)),
    "xxs": Size((2, 2, 6, 2), (24, 48, 88, 168)),
}


class ChannelNorm(nn.LayerNorm):
    """Layer normalization over the channels of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Mlp(nn.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class ConvolutionBlock(nn.Module):
    """Depthwise convolution, then a perceptron per place, scaled and added."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=NORM_EPS)
        self.mlp = Mlp(channels)
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.mlp(self.norm(self.conv_dw(x).permute(0, 2, 3, 1)))
        return x + (self.gamma * inner).permute(0, 3, 1, 2)


class PositionEncoding(nn.Module):
    """Sines and cosines of the place, projected to the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.token_projection = nn.Conv2d(2 * POSITION_CHANNELS, channels, 1)

    def forward(self, height: int, width: int) -> Tensor:
        waves = [self.waves(size) for size in (height, width)]
        rows = waves[0][:, :, None].expand(-1, -1, width)
        columns = waves[1][:, None, :].expand(-1, height, -1)
        return self.token_projection(torch.cat([rows, columns])[None])

    @staticmethod
    def waves(size: int) -> Tensor:
        """(32, size): sine and cosine in turn, of 16 wavelengths from 2 pi to 10,000 times that."""
        place = torch.arange(1, size + 1, dtype=torch.float32) / (size + POSITION_EPS) * 2 * math.pi
        power = 2 * torch.arange(POSITION_CHANNELS // 2) / POSITION_CHANNELS
        phase = place[None] / (10_000.0**power)[:, None]
        return torch.stack([phase.sin(), phase.cos()], dim=1).flatten(0, 1)


class ChannelAttention(nn.Module):
    """Attention between channels: the covariance of normalized queries and keys over all places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, places, channels = x.shape
        q, k, v = self.qkv(x).reshape(n, places, 3, HEADS, channels // HEADS).permute(2, 0, 3, 4, 1)
        attention = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature
        mixed = attention.softmax(-1) @ v
        return self.proj(mixed.permute(0, 3, 1, 2).reshape(n, places, channels))


class AttentionBlock(nn.Module):
    """Convolutions of growing reach on shares of the channels, attention between channels, perceptron."""

    def __init__(self, channels: int, scales: int, *, position: bool) -> None:
        super().__init__()
        width = max(math.ceil(channels / scales), channels // scales)
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, groups=width) for _ in range(scales - 1)
        )
        self.pos_embd = PositionEncoding(channels) if position else None
        self.norm_xca = nn.LayerNorm(channels, eps=NORM_EPS)
        self.gamma_xca = nn.Parameter(torch.ones(channels))
        self.xca = ChannelAttention(channels)
        self.norm = nn.LayerNorm(channels, eps=NORM_EPS)
        self.mlp = Mlp(channels)
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        shares = x.chunk(len(self.convs) + 1, dim=1)
        seen: list[Tensor] = []
        for share, conv in zip(shares, self.convs, strict=False):
            seen.append(conv(share + seen[-1] if seen else share))
        places = torch.cat([*seen, shares[-1]], dim=1)
        n, channels, height, width = places.shape
        tokens = places.flatten(2).permute(0, 2, 1)
        if self.pos_embd is not None:
            tokens = tokens + self.pos_embd(height, width).flatten(2).permute(0, 2, 1)
        tokens = tokens + self.gamma_xca * self.xca(self.norm_xca(tokens))
        inner = self.gamma * self.mlp(self.norm(tokens))
        return x + inner.permute(0, 2, 1).reshape(n, channels, height, width)


class Stage(nn.Module):
    """Downsampling (but for the first stage) and blocks."""

    def __init__(self, number: int, size: Size) -> None:
        super().__init__()
        channels, depth = size.channels[number], size.depths[number]
        if number:
            before = size.channels[number - 1]
            self.downsample = nn.Sequential(
                ChannelNorm(before, eps=NORM_EPS), nn.Conv2d(before, channels, 2, stride=2)
            )
        attention = 1 if number else 0
        blocks: list[nn.Module] = [
            ConvolutionBlock(channels, KERNELS[number]) for _ in range(depth - attention)
        ]
        if attention:
            blocks.append(AttentionBlock(channels, SCALES[number], position=number == 1))
        self.blocks = nn.Sequential(*blocks)
        self.first = number == 0

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x if self.first else self.downsample(x))


class EdgeFace(nn.Module):
    """(N, 3, 112, 112) -> (N, 512), not normalized."""

    def __init__(self, size: str, *, dimension: int = 512) -> None:
        super().__init__()
        chosen = SIZES[size]
        self.stem = nn.Sequential(
            nn.Conv2d(3, chosen.channels[0], 4, stride=4), ChannelNorm(chosen.channels[0], eps=NORM_EPS)
        )
        self.stages = nn.Sequential(*(Stage(number, chosen) for number in range(4)))
        self.head = nn.ModuleDict(
            {
                "norm": nn.LayerNorm(chosen.channels[-1], eps=NORM_EPS),
                "fc": nn.Linear(chosen.channels[-1], dimension),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.stages(self.stem(x)).mean(dim=(2, 3))
        return self.head["fc"](self.head["norm"](pooled))
