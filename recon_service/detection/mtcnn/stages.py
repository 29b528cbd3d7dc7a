"""The three networks of the cascade, in numpy: pictures (N, H, W, 3) in [-1, 1], RGB, channels last.

Proposal: any size, an answer for every window of 12 pixels at steps of 2. Refinement: 24 pixels. Output: 48
pixels. Each says the probability of a face and how the box's four sides move, as shares of its size; the last
also where the five landmarks are in the box, as shares.

The parameters come from a conversion of Caffe's: the layers over a whole picture number the places column by
column (x slowest but for the channel).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon_service.detection.onnx_session import NetworkUnusable
from recon_service.domain.errors import InvalidValue
from recon_service.networks.layers import convolution, linear, prelu, softmax
from recon_service.networks.safetensors import read_safetensors

Floats = NDArray[np.float32]
Parameters = Mapping[str, Floats]


class Stages:
    """The parameters of the three, and what they compute."""

    def __init__(self, pnet: Path, rnet: Path, onet: Path) -> None:
        """Safetensors files with arrays ``conv4_1.weight`` and so on; raises NetworkUnusable for others."""
        try:
            self._p, self._r, self._o = (read_safetensors(path) for path in (pnet, rnet, onet))
            # Every array and shape is asked for once.
            self.propose(np.zeros((1, 12, 12, 3), np.float32))
            self.refine(np.zeros((1, 24, 24, 3), np.float32))
            self.finish(np.zeros((1, 48, 48, 3), np.float32))
        except (InvalidValue, ValueError, KeyError) as fault:
            raise NetworkUnusable(
                f"{pnet.name}, {rnet.name} and {onet.name} do not hold MTCNN's parameters.",
                next_step="Convert the originals again: recon weights convert mtcnn-pnet (-rnet, -onet).",
            ) from fault

    def propose(self, pictures: Floats) -> tuple[Floats, Floats]:
        """Probabilities (N, h, w) and moves (N, h, w, 4) of the windows at 2·row, 2·column."""
        x = _pool(_layer(pictures, self._p, 1), 2, 2)
        x = _layer(_layer(x, self._p, 2), self._p, 3)
        score = softmax(convolution(x, *_pair(self._p, "conv4_1")))[..., 1]
        return score, convolution(x, *_pair(self._p, "conv4_2"))

    def refine(self, crops: Floats) -> tuple[Floats, Floats]:
        """Probabilities (N,) and moves (N, 4)."""
        x = _pool(_layer(crops, self._r, 1), 3, 2)
        x = _layer(_pool(_layer(x, self._r, 2), 3, 2), self._r, 3)
        x = _dense(x, self._r, 4)
        score = softmax(linear(x, *_pair(self._r, "conv5_1")))[..., 1]
        return score, linear(x, *_pair(self._r, "conv5_2"))

    def finish(self, crops: Floats) -> tuple[Floats, Floats, Floats]:
        """Probabilities (N,), moves (N, 4), landmarks (N, 5, 2)."""
        x = _pool(_layer(crops, self._o, 1), 3, 2)
        x = _pool(_layer(x, self._o, 2), 3, 2)
        x = _layer(_pool(_layer(x, self._o, 3), 2, 2), self._o, 4)
        x = _dense(x, self._o, 5)
        score = softmax(linear(x, *_pair(self._o, "conv6_1")))[..., 1]
        landmarks = linear(x, *_pair(self._o, "conv6_3")).reshape(-1, 2, 5).transpose(0, 2, 1)
        return score, linear(x, *_pair(self._o, "conv6_2")), landmarks


def _pair(parameters: Parameters, name: str) -> tuple[Floats, Floats]:
    return parameters[f"{name}.weight"], parameters[f"{name}.bias"]


def _layer(x: Floats, parameters: Parameters, number: int) -> Floats:
    out = convolution(x, *_pair(parameters, f"features.conv{number}"))
    return prelu(out, parameters[f"features.prelu{number}.weight"])


def _dense(x: Floats, parameters: Parameters, number: int) -> Floats:
    # Channel, then column, then row.
    flat = x.transpose(0, 3, 2, 1).reshape(len(x), -1)
    out = linear(flat, *_pair(parameters, f"features.conv{number}"))
    return prelu(out, parameters[f"features.prelu{number}.weight"])


def _pool(x: Floats, size: int, step: int) -> Floats:
    """Largest value of each window; the last ones may reach beyond the picture, as in Caffe."""
    height, width = x.shape[1:3]
    out_h, out_w = (max(-(-(length - size) // step), 0) + 1 for length in (height, width))
    bottom, right = (out_h - 1) * step + size - height, (out_w - 1) * step + size - width
    if bottom > 0 or right > 0:
        edges = ((0, 0), (0, max(bottom, 0)), (0, max(right, 0)), (0, 0))
        x = np.pad(x, edges, constant_values=-np.inf)
    shifts = [
        x[:, i : i + step * (out_h - 1) + 1 : step, j : j + step * (out_w - 1) + 1 : step]
        for i in range(size)
        for j in range(size)
    ]
    return np.asarray(np.maximum.reduce(shifts), np.float32)
