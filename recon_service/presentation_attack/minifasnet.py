"""MiniFASNet (Minivision AI, Apache-2.0) in numpy: what a picture itself tells of prints and screens. The
same network as ``third_party/minifasnet`` has it in torch; a test holds the two together.

Trained on color pictures of phones and webcams: an infrared picture is outside of what it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import InvalidValue
from recon_service.domain.images import Image
from recon_service.networks.layers import Floats, convolution, depthwise, linear, prelu, softmax
from recon_service.networks.safetensors import Arrays, read_safetensors

SIDE: Final = 80
EPS: Final = 1e-5
BONA_FIDE: Final = 1
Box = tuple[float, float, float, float]
STAGES: Final = (("conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5"))


@dataclass(frozen=True, slots=True)
class MiniFasNet:
    """One network and how much of the picture around a face it looks at, in sides of the face's box."""

    parameters: Arrays
    scale: float

    @classmethod
    def read(cls, weights: Path, *, scale: float) -> MiniFasNet:
        """Raises InvalidValue for a file of another network."""
        network = cls(read_safetensors(weights), scale)
        try:
            network.probabilities(np.zeros((1, SIDE, SIDE, 3), np.float32))
        except (KeyError, ValueError) as fault:
            raise InvalidValue(f"{weights.name} does not hold a MiniFASNet network") from fault
        return network

    def probabilities(self, pictures: Floats) -> Floats:
        """(N, 80, 80, 3) blue, green, red from 0 to 255, to (N, 3)."""
        p = self.parameters
        x = _unit(pictures, p, "conv1", stride=2, pad=1)
        x = _unit(x, p, "conv2_dw", pad=1)
        for shrinking, residual in STAGES:
            x = _bottleneck(x, p, shrinking, stride=2)
            number = 0
            while f"{residual}.model.{number}.conv.conv.weight" in p:
                name = f"{residual}.model.{number}"
                x = x + _excited(_bottleneck(x, p, name), p, f"{name}.se_module")
                number += 1
        x = _unit(_unit(x, p, "conv_6_sep"), p, "conv_6_dw").reshape(len(pictures), -1)
        return softmax(linear(_normalized(linear(x, p["linear.weight"]), p, "bn"), p["prob.weight"]))


def bona_fide_share(image: Image, box: Box, networks: tuple[MiniFasNet, ...]) -> float:
    """The mean of the networks' probabilities for a living face, 0 to 1. box: left, top, right, bottom of the
    face, pixels.
    """
    shares = [
        float(network.probabilities(crop(image, box, network.scale))[0, BONA_FIDE]) for network in networks
    ]
    return float(np.mean(shares))


def crop(image: Image, box: Box, scale: float) -> Floats:
    """(1, 80, 80, 3) blue, green, red: the box enlarged about its center, as far as the picture allows, and
    moved inside.
    """
    left, top, right, bottom = box
    width, height = max(right - left, 1.0), max(bottom - top, 1.0)
    scale = min(scale, (image.height - 1) / height, (image.width - 1) / width)
    size = np.array([width, height]) * scale
    corner = np.array([left + right, top + bottom]) / 2 - size / 2
    corner = np.clip(corner, 0.0, np.array([image.width - 1, image.height - 1]) - size)
    low, high = corner.astype(int), (corner + size).astype(int) + 1
    part: NDArray[np.uint8] = image.pixels[low[1] : high[1], low[0] : high[0], ::-1]
    return np.asarray(cv2.resize(part, (SIDE, SIDE)), dtype=np.float32)[None]


def _bottleneck(x: Floats, p: Arrays, name: str, *, stride: int = 1) -> Floats:
    """Expand, depthwise, project."""
    x = _unit(_unit(x, p, f"{name}.conv"), p, f"{name}.conv_dw", stride=stride, pad=1)
    return _unit(x, p, f"{name}.project")


def _unit(x: Floats, p: Arrays, name: str, *, stride: int = 1, pad: int = 0) -> Floats:
    """Convolution, batch normalization and, where there is one, PReLU."""
    weight = p[f"{name}.conv.weight"]
    per_channel = weight.shape[1] == 1 and x.shape[3] > 1
    layer = depthwise if per_channel else convolution
    x = _normalized(layer(x, weight, stride=stride, pad=pad), p, f"{name}.bn")
    slope = f"{name}.prelu.weight"
    return prelu(x, p[slope]) if slope in p else x


def _excited(x: Floats, p: Arrays, name: str) -> Floats:
    """Channels weighed by what all places together say, where the block does so."""
    if f"{name}.fc1.weight" not in p:
        return x
    squeezed = linear(x.mean(axis=(1, 2)), p[f"{name}.fc1.weight"][:, :, 0, 0])
    hidden = np.maximum(_normalized(squeezed, p, f"{name}.bn1"), np.float32(0))
    weights = _normalized(linear(hidden, p[f"{name}.fc2.weight"][:, :, 0, 0]), p, f"{name}.bn2")
    return np.asarray(x / (1 + np.exp(-weights))[:, None, None], np.float32)


def _normalized(x: Floats, p: Arrays, name: str) -> Floats:
    """Batch normalization with the running statistics, over the last axis."""
    scale = p[f"{name}.weight"] / np.sqrt(p[f"{name}.running_var"] + np.float32(EPS))
    return np.asarray((x - p[f"{name}.running_mean"]) * scale + p[f"{name}.bias"], np.float32)
