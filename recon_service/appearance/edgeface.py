"""EdgeFace (George et al., 2024) in numpy: an EdgeNeXt (Maaz et al., 2022) with a 512-dimensional output.

The same network as ``third_party/edgeface`` has it in torch; a test holds the two together. 12 ms for a
picture and its mirror image would be nothing to gain from a framework that every process must load.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from recon_service.appearance.embedder import SIDE, Aligned, batch, mirror_averaged
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.networks.layers import (
    Floats,
    convolution,
    depthwise,
    gelu,
    layer_norm,
    linear,
    softmax,
    unit,
)
from recon_service.networks.safetensors import Arrays, read_safetensors

STAGES: Final = 4
HEADS: Final = 4
EPS: Final = 1e-6
WAVES: Final = 16
"""Wavelengths of the position encoding."""


class EdgeFace:
    """The embedder of an EdgeFace file; its size (xs, xxs) is read off the parameters."""

    def __init__(self, weights: Path, *, name: str = "edgeface") -> None:
        """Raises InvalidValue for a file of another network."""
        self._parameters = read_safetensors(weights)
        self._blocks = [_count(self._parameters, stage) for stage in range(STAGES)]
        try:
            self.dimension = int(self._parameters["head.fc.weight"].shape[0])
            # Every name and shape is asked for once before anybody stands at a kiosk.
            self._network(np.zeros((1, SIDE, SIDE, 3), np.float32))
        except (KeyError, ValueError) as fault:
            raise InvalidValue(
                f"{weights.name} does not hold an EdgeFace network", next_step="Pull or convert it again."
            ) from fault
        self.name = name
        self.version = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]

    def embed(self, pictures: Sequence[Aligned]) -> Array:
        return mirror_averaged(self._network(batch(pictures)))

    def _network(self, x: Floats) -> Floats:
        p = self._parameters
        x = convolution(x, p["stem.0.weight"], p["stem.0.bias"], stride=4)
        x = _norm(x, p, "stem.1")
        for stage in range(STAGES):
            if stage:
                head = f"stages.{stage}.downsample"
                x = _norm(x, p, f"{head}.0")
                x = convolution(x, p[f"{head}.1.weight"], p[f"{head}.1.bias"], stride=2)
            for number in range(self._blocks[stage]):
                block = f"stages.{stage}.blocks.{number}"
                x = _attention_block(x, p, block) if f"{block}.gamma_xca" in p else _block(x, p, block)
        pooled = _norm(x.mean(axis=(1, 2)), p, "head.norm")
        return linear(pooled, p["head.fc.weight"], p["head.fc.bias"])


def _block(x: Floats, p: Arrays, name: str) -> Floats:
    """Depthwise convolution and a perceptron per place."""
    kernel = p[f"{name}.conv_dw.weight"]
    seen = depthwise(x, kernel, p[f"{name}.conv_dw.bias"], pad=kernel.shape[-1] // 2)
    return x + p[f"{name}.gamma"] * _perceptron(seen, p, name)


def _attention_block(x: Floats, p: Arrays, name: str) -> Floats:
    """Shares of the channels are convolved, each with the result of the one before added (so that later ones
    see farther) and the last left as it is; then attention between channels, and a perceptron per place.
    """
    count = sum(f"{name}.convs.{number}.weight" in p for number in range(STAGES))
    width = math.ceil(x.shape[3] / (count + 1))
    shares = np.split(x, range(width, x.shape[3], width), axis=3)
    seen: list[Floats] = []
    for number in range(count):
        conv = f"{name}.convs.{number}"
        share = shares[number] + seen[-1] if seen else shares[number]
        seen.append(depthwise(share, p[f"{conv}.weight"], p[f"{conv}.bias"], pad=1))
    places = np.concatenate([*seen, shares[-1]], axis=3)
    if f"{name}.pos_embd.token_projection.weight" in p:
        places = places + _positions(places.shape[1], places.shape[2], p, f"{name}.pos_embd.token_projection")
    n, height, width, channels = places.shape
    tokens = places.reshape(n, height * width, channels)
    tokens = tokens + p[f"{name}.gamma_xca"] * _attention(
        _norm(tokens, p, f"{name}.norm_xca"), p, f"{name}.xca"
    )
    inner = p[f"{name}.gamma"] * _perceptron(tokens, p, name)
    return x + inner.reshape(x.shape)


def _attention(tokens: Floats, p: Arrays, name: str) -> Floats:
    """Channels attend to channels: the products of normalized queries and keys over all places."""
    n, places, channels = tokens.shape
    mixed = linear(tokens, p[f"{name}.qkv.weight"], p[f"{name}.qkv.bias"])
    q, k, v = mixed.reshape(n, places, 3, HEADS, channels // HEADS).transpose(2, 0, 3, 4, 1)
    attention = softmax(unit(q) @ unit(k).swapaxes(-2, -1) * p[f"{name}.temperature"])
    out = (attention @ v).transpose(0, 3, 1, 2).reshape(n, places, channels)
    return linear(out, p[f"{name}.proj.weight"], p[f"{name}.proj.bias"])


def _positions(height: int, width: int, p: Arrays, name: str) -> Floats:
    """(1, H, W, C): the place's sines and cosines (rows, then columns), projected to the channels."""
    rows, columns = _waves(height), _waves(width)
    both = np.concatenate(
        [
            np.broadcast_to(rows[:, None], (height, width, 2 * WAVES)),
            np.broadcast_to(columns[None], (height, width, 2 * WAVES)),
        ],
        axis=2,
    )
    return linear(both, p[f"{name}.weight"][:, :, 0, 0], p[f"{name}.bias"])[None]


def _waves(size: int) -> Floats:
    """(size, 32): sine and cosine in turn, of wavelengths from 2 pi (the whole side) to 10,000 times that."""
    place = np.arange(1, size + 1) / (size + EPS) * 2 * np.pi
    phase = place[:, None] / 10_000.0 ** (np.arange(WAVES) / WAVES)
    return np.stack([np.sin(phase), np.cos(phase)], axis=2).reshape(size, 2 * WAVES).astype(np.float32)


def _perceptron(x: Floats, p: Arrays, name: str) -> Floats:
    hidden = gelu(linear(_norm(x, p, f"{name}.norm"), p[f"{name}.mlp.fc1.weight"], p[f"{name}.mlp.fc1.bias"]))
    return linear(hidden, p[f"{name}.mlp.fc2.weight"], p[f"{name}.mlp.fc2.bias"])


def _norm(x: Floats, p: Arrays, name: str) -> Floats:
    return layer_norm(x, p[f"{name}.weight"], p[f"{name}.bias"], eps=EPS)


def _count(p: Arrays, stage: int) -> int:
    """Blocks of a stage."""
    numbers = {int(m[1]) for name in p if (m := re.match(rf"stages\.{stage}\.blocks\.(\d+)\.", name))}
    return len(numbers)
