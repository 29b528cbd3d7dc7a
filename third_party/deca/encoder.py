"""The coarse encoder: ResNet-50, then 2048 -> 1024 -> 236. Keys as in the checkpoint's ``E_flame``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from third_party.deca.layout import HIDDEN, OUTPUTS
from third_party.resnet50.network import ResNet50
from third_party.resnet50.parameters import FEATURES


class CoarseEncoder(nn.Module):
    """(B, 3, 224, 224) RGB in [0, 1] to (B, 236)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ResNet50()
        self.layers = nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, OUTPUTS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(self.encoder(images))


def load_encoder(parameters: Mapping[str, NDArray[Any]]) -> CoarseEncoder:
    """The encoder with these parameters, for inference. Raises RuntimeError where names or shapes differ."""
    encoder = CoarseEncoder()
    wanted = encoder.state_dict()
    # Batch normalization counts its training steps; some files lack the count, inference does not use it.
    state = {
        name: torch.from_numpy(np.array(parameters[name])) if name in parameters else value
        for name, value in wanted.items()
        if name in parameters or name.endswith("num_batches_tracked")
    }
    encoder.load_state_dict(state, strict=True)
    return encoder.eval().requires_grad_(False)
