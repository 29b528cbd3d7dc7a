"""The encoder as an ONNX graph; the eight heads become one linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from third_party.faceverse.crop import INPUT_SIDE
from third_party.faceverse.layout import HEADS, OUTPUTS
from third_party.resnet50.graph import GraphBuilder


def encoder_graph(parameters: Mapping[str, NDArray[Any]]) -> ModelProto:
    """``image`` (batch, 3, 256, 256) to (batch, 621)."""
    builder = GraphBuilder(parameters)
    weights, biases = (
        np.concatenate(
            [np.asarray(parameters[f"final_layers.{i}.{part}"], np.float32) for i in range(len(HEADS))]
        )
        for part in ("weight", "bias")
    )
    output = builder.linear(builder.trunk("image", "backbone."), weights[:, :, 0, 0], biases)
    return builder.model("image", output, side=INPUT_SIDE, outputs=OUTPUTS, name="faceverse-v4")
