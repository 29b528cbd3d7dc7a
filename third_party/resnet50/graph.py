"""The same network as an ONNX graph, built from the parameters alone; needs onnx and numpy, no torch.

Batch normalization is folded: y = g (w * x - m) / sqrt(v + e) + b is the convolution (g / s) w with the
bias b - g m / s, s = sqrt(v + e), e = 1e-5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from third_party.resnet50.parameters import BLOCKS

Floats = NDArray[np.float32]
BN_EPSILON: Final = 1e-5
OPSET: Final = 17
IR_VERSION: Final = 8


@dataclass
class GraphBuilder:
    """Collects nodes and their constants; ``parameters`` are named as in the checkpoint."""

    parameters: Mapping[str, NDArray[Any]]
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output; returns the output's name."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        """Add a constant; returns its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def convolution(self, x: str, conv: str, norm: str, *, stride: int, padding: int) -> str:
        """A convolution without bias and the batch normalization that follows it, as one node."""
        weight, bias = folded(self.parameters, conv, norm)
        return self.node(
            "Conv", [x, self.constant(weight), self.constant(bias)],
            strides=[stride] * 2, pads=[padding] * 4,
        )  # fmt: skip

    def linear(self, x: str, weight: Floats, bias: Floats) -> str:
        """X (B, I) times weight (O, I) transposed, plus bias (O,)."""
        return self.node("Gemm", [x, self.constant(weight), self.constant(bias)], transB=1)

    def trunk(self, x: str, prefix: str) -> str:
        """ResNet-50 of images x (B, 3, H, W): features (B, 2048)."""
        x = self.node("Relu", [self.convolution(x, f"{prefix}conv1", f"{prefix}bn1", stride=2, padding=3)])
        x = self.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        for stage, count in enumerate(BLOCKS, start=1):
            for index in range(count):
                stride = 2 if index == 0 and stage > 1 else 1
                x = self._bottleneck(x, f"{prefix}layer{stage}.{index}.", stride)
        return self.node("Flatten", [self.node("GlobalAveragePool", [x])], axis=1)

    def _bottleneck(self, x: str, prefix: str, stride: int) -> str:
        shortcut = x
        if f"{prefix}downsample.0.weight" in self.parameters:
            shortcut = self.convolution(
                x, f"{prefix}downsample.0", f"{prefix}downsample.1", stride=stride, padding=0
            )
        y = self.node("Relu", [self.convolution(x, f"{prefix}conv1", f"{prefix}bn1", stride=1, padding=0)])
        y = self.node(
            "Relu", [self.convolution(y, f"{prefix}conv2", f"{prefix}bn2", stride=stride, padding=1)]
        )
        y = self.convolution(y, f"{prefix}conv3", f"{prefix}bn3", stride=1, padding=0)
        return self.node("Relu", [self.node("Add", [y, shortcut])])

    def model(self, x: str, output: str, *, side: int, outputs: int, name: str) -> ModelProto:
        """The finished graph: ``x`` (batch, 3, side, side) float32 to ``output`` (batch, outputs) float32."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", 3, side, side])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", outputs])],
            self.constants,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name=name
        )


def folded(parameters: Mapping[str, NDArray[Any]], conv: str, norm: str) -> tuple[Floats, Floats]:
    """Weight (O, I, k, k) and bias (O,) of a convolution with its batch normalization, float32."""
    weight = np.asarray(parameters[f"{conv}.weight"], dtype=np.float64)
    gain, shift, mean, variance = (
        np.asarray(parameters[f"{norm}.{part}"], dtype=np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + BN_EPSILON)
    return (
        (weight * scale[:, None, None, None]).astype(np.float32),
        (shift - mean * scale).astype(np.float32),
    )
