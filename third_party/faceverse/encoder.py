"""The encoder: ResNet-50 and eight 1x1 heads. Keys as in the published checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from third_party.faceverse.layout import HEADS
from third_party.resnet50.network import ResNet50
from third_party.resnet50.parameters import FEATURES


class Encoder(nn.Module):
    """(B, 3, 256, 256) RGB in [0, 1] to (B, 621)."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNet50()
        self.final_layers = nn.ModuleList(nn.Conv2d(FEATURES, outputs, 1) for outputs in HEADS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.backbone(images)[:, :, None, None]
        return torch.cat([head(features) for head in self.final_layers], dim=1).flatten(1)


def load_encoder(parameters: Mapping[str, NDArray[Any]]) -> Encoder:
    """The encoder with these parameters, for inference. Raises RuntimeError where names or shapes differ."""
    encoder = Encoder()
    # Batch normalization counts its training steps; some files lack the count, inference does not use it.
    state = {
        name: torch.from_numpy(np.array(parameters[name])) if name in parameters else value
        for name, value in encoder.state_dict().items()
        if name in parameters or name.endswith("num_batches_tracked")
    }
    encoder.load_state_dict(state, strict=True)
    return encoder.eval().requires_grad_(False)
