"""The coarse encoder as an ONNX graph, from the parameters of ``E_flame``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from third_party.deca.crop import INPUT_SIDE
from third_party.deca.layout import OUTPUTS
from third_party.resnet50.graph import GraphBuilder


def encoder_graph(parameters: Mapping[str, NDArray[Any]]) -> ModelProto:
    """``image`` (batch, 3, 224, 224) to (batch, 236)."""
    builder = GraphBuilder(parameters)

    def layer(x: str, number: int) -> str:
        weight, bias = (
            np.asarray(parameters[f"layers.{number}.{p}"], np.float32) for p in ("weight", "bias")
        )
        return builder.linear(x, weight, bias)

    hidden = builder.node("Relu", [layer(builder.trunk("image", "encoder."), 0)])
    return builder.model("image", layer(hidden, 2), side=INPUT_SIDE, outputs=OUTPUTS, name="deca-coarse")
