"""A small convolutional network as an ONNX graph, and what it must give, computed in numpy."""

from __future__ import annotations

from functools import cache

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIDE = 16


@cache
def _parameters() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return rng.normal(size=(32, 3, 3, 3)).astype(np.float32), rng.normal(size=(4, 32)).astype(np.float32)


@cache
def graph() -> bytes:
    """``crops`` (B, 3, H, W) -> ``raw`` (B, 4)."""
    convolution, linear = _parameters()
    nodes = [
        helper.make_node("Conv", ["crops", "w"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"], axis=1),
        helper.make_node("Gemm", ["d", "l"], ["raw"], transB=1),
    ]
    body = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["batch", 3, "h", "w"])],
        [helper.make_tensor_value_info("raw", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(convolution, "w"), numpy_helper.from_array(linear, "l")],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def crops(count: int, side: int = SIDE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3, side, side)).astype(np.float32)


def wanted(given: np.ndarray) -> np.ndarray:
    """By the definition of a convolution."""
    weight, linear = _parameters()
    padded = np.pad(given.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    out = np.einsum("bchwij,ocij->bohw", windows, weight.astype(np.float64))
    return np.asarray(np.maximum(out, 0).mean(axis=(2, 3)) @ linear.T.astype(np.float64))
