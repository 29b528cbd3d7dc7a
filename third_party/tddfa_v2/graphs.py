"""The two networks as ONNX graphs, made from their weights alone: no torch is needed to serve them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from third_party.tddfa_v2.mobilenet_blocks import BLOCKS

OPSET, IR_VERSION = 17, 8
EPSILON = 1e-5

Weights = Mapping[str, np.ndarray]


class Graph:
    """Nodes and constants of a graph under construction; every method returns the name of its output."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        output = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, np.asarray(self._weights[name], dtype=np.float32))

    def convolution(self, x: str, name: str, *, stride: int = 1, groups: int = 1, bias: bool = False) -> str:
        weight = self._weights[f"{name}.weight"]
        side = weight.shape[2]
        inputs = [x, self.weight(f"{name}.weight"), *([self.weight(f"{name}.bias")] if bias else [])]
        pads = [side // 2] * 4
        return self.add(
            "Conv", *inputs, kernel_shape=[side] * 2, strides=[stride] * 2, pads=pads, group=groups
        )

    def normalization(self, x: str, name: str) -> str:
        parts = [self.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        return self.add("BatchNormalization", x, *parts, epsilon=EPSILON)

    def model(self, inputs: Mapping[str, list[int | str]], outputs: Mapping[str, list[int | str]]) -> bytes:
        """The finished model: a file's content."""

        def described(shapes: Mapping[str, list[int | str]]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]

        graph = helper.make_graph(
            self._nodes, "graph", described(inputs), described(outputs), list(self._constants.values())
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def named(self, x: str, name: str) -> None:
        """Give an output of the graph its name."""
        self._nodes.append(helper.make_node("Identity", [x], [name]))


def regressor(weights: Weights) -> bytes:
    """MobileNet-V1: ``crops`` (B, 3, 120, 120) -> ``raw`` (B, 62). The width is that of the weights."""
    g = Graph(weights)
    x = g.add("Relu", g.normalization(g.convolution("crops", "conv1", stride=2), "bn1"))
    for name, (_, stride) in BLOCKS.items():
        channels = len(weights[f"{name}.conv_dw.weight"])
        x = g.convolution(x, f"{name}.conv_dw", stride=stride, groups=channels)
        x = g.add("Relu", g.normalization(x, f"{name}.bn_dw"))
        x = g.add("Relu", g.normalization(g.convolution(x, f"{name}.conv_sep"), f"{name}.bn_sep"))
    x = g.add("Flatten", g.add("GlobalAveragePool", x), axis=1)
    g.named(g.add("Gemm", x, g.weight("fc.weight"), g.weight("fc.bias"), transB=1), "raw")
    return g.model({"crops": ["batch", 3, 120, 120]}, {"raw": ["batch", len(weights["fc.bias"])]})


def detector(weights: Weights) -> bytes:
    """FaceBoxes: ``picture`` (B, 3, H, W) -> ``offsets`` (B, P, 4), ``scores`` (B, P)."""
    g = Graph(weights)

    def block(x: str, name: str, *, stride: int = 1, both_signs: bool = False) -> str:
        x = g.normalization(g.convolution(x, f"{name}.conv", stride=stride), f"{name}.bn")
        return g.add("Relu", g.add("Concat", x, g.add("Neg", x), axis=1) if both_signs else x)

    def halved(x: str) -> str:
        return g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)

    x = halved(block("picture", "conv1", stride=4, both_signs=True))
    x = halved(block(x, "conv2", stride=2, both_signs=True))
    for name in ("inception1", "inception2", "inception3"):
        blurred = g.add(
            "AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4, count_include_pad=1
        )
        third = block(block(x, f"{name}.branch3x3_reduce"), f"{name}.branch3x3")
        fourth = block(block(x, f"{name}.branch3x3_reduce_2"), f"{name}.branch3x3_2")
        branches = [
            block(x, f"{name}.branch1x1"),
            block(blurred, f"{name}.branch1x1_2"),
            third,
            block(fourth, f"{name}.branch3x3_3"),
        ]
        x = g.add("Concat", *branches, axis=1)
    middle = block(block(x, "conv3_1"), "conv3_2", stride=2)
    far = block(block(middle, "conv4_1"), "conv4_2", stride=2)
    heads = {}
    for kind, width in (("loc", 4), ("conf", 2)):
        shape = g.constant(f"rows_of_{width}", np.array([0, -1, width], dtype=np.int64))
        maps = []
        for i, part in enumerate((x, middle, far)):
            rows = g.add("Transpose", g.convolution(part, f"{kind}.{i}", bias=True), perm=[0, 2, 3, 1])
            maps.append(g.add("Reshape", rows, shape))
        heads[kind] = g.add("Concat", *maps, axis=1)
    g.named(heads["loc"], "offsets")
    face = g.constant("face", np.array(1, dtype=np.int64))
    g.named(g.add("Gather", g.add("Softmax", heads["conf"], axis=2), face, axis=2), "scores")
    return g.model(
        {"picture": ["batch", 3, "height", "width"]},
        {"offsets": ["batch", "anchors", 4], "scores": ["batch", "anchors"]},
    )
