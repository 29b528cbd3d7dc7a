"""Every detector with real weights, loaded once per process; for RTMPose, whose file is too large to be
kept, a small network of the same signature.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from recon_service.alignment.five_points import TEMPLATE
from recon_service.application.computing.detectors import detector_registry
from recon_service.detection.detector import FaceDetector
from recon_service.detection.registry import DetectorRegistry
from recon_service.domain.landmark_schemes import FIVE, SCHEMES
from recon_service.networks.onnx_runtime import Device
from recon_service.weights import WeightStore, locate
from recon_service.weights.convert.originals import convert
from recon_service.weights.derived import locate_derived
from recon_service.weights.errors import ALLOW_NONCOMMERCIAL

SIDE, BINS = 256, 512
PULLED = ("face-detection-short-range", "face-landmark")
"""Files of the default set: the tests of their detectors need no mirror."""
WITHOUT_MIRROR = ("mediapipe", "mediapipe_simple", "rtmpose")


@functools.cache
def weight_store() -> WeightStore:
    """A store of its own over the mirror, with what has to be converted; research files are allowed."""
    folder = Path(tempfile.mkdtemp(prefix="recon-detectors-"))
    store = WeightStore.from_environment(
        {
            "RECON_WEIGHTS_DIR": str(folder),
            "RECON_WEIGHTS_MIRROR": os.environ.get("RECON_WEIGHTS_MIRROR", ""),
            ALLOW_NONCOMMERCIAL: "1",
        }
    )
    if store.mirror is not None:
        for part in ("pnet", "rnet", "onet"):
            convert(store, f"mtcnn-{part}")
    network = folder / "small_rtmpose.onnx"
    network.write_bytes(rtmpose_of_a_mean_face())
    convert(store, "rtmpose-face", source=network, unverified=True)
    return store


@functools.cache
def registry() -> DetectorRegistry:
    store = weight_store()
    derived = {file.name for file in store.manifest.derived}

    def found(name: str) -> Path:
        if name in derived:
            return locate_derived(store, name)
        return locate(name) if name in PULLED else store.locate(name)

    return detector_registry(found)


@functools.cache
def detector(name: str) -> FaceDetector:
    return registry().build(name, Device.CPU)


# ---- small networks of RTMPose's signature: (N, 3, 256, 256) -> columns (N, 106, 512), rows (N, 106, 512)


def rtmpose_of_a_mean_face() -> bytes:
    """Landmarks that stand where they are in a mean face that fills the input, whatever the picture shows."""
    scheme = SCHEMES["lapa106"]
    # The face of the template of 112 pixels fills the middle of the input about as a detector's box does.
    at = np.full((scheme.count, 2), SIDE / 2)
    for place, point in zip(FIVE, TEMPLATE, strict=True):
        at[list(scheme.places[place])] = (point - 56) * 1.7 + SIDE / 2
    columns, rows = (np.zeros((1, scheme.count, BINS), np.float32) for _ in range(2))
    bins = np.round(at * BINS / SIDE).astype(int)
    columns[0, np.arange(scheme.count), bins[:, 0]] = 1
    rows[0, np.arange(scheme.count), bins[:, 1]] = 1
    # Nothing of the picture but its place in the batch: its mean times zero, (N, 1, 1).
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=1),
        helper.make_node("Squeeze", ["mean", "last"], ["flat"]),
        helper.make_node("Mul", ["flat", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "columns"], ["simcc_x"]),
        helper.make_node("Add", ["nothing", "rows"], ["simcc_y"]),
    ]
    constants = {
        "axes": np.array([1, 2, 3], np.int64),
        "last": np.array([3], np.int64),
        "zero": np.zeros((1, 1, 1), np.float32),
        "columns": columns,
        "rows": rows,
    }
    return _model(nodes, constants)


def rtmpose_of_the_brightest_lines() -> bytes:
    """Every landmark stands where the brightest column and the brightest row of the input cross."""
    nodes, constants = [], {"ones": np.ones((1, 106, 1), np.float32)}
    constants["scales"] = np.array([1, 1, BINS / SIDE], np.float32)
    for name, axes in (("simcc_x", [1, 2]), ("simcc_y", [1, 3])):
        constants[f"axes_{name}"] = np.array(axes, np.int64)
        constants[f"one_{name}"] = np.array([1], np.int64)
        nodes += [
            helper.make_node("ReduceMean", ["input", f"axes_{name}"], [f"profile_{name}"], keepdims=0),
            helper.make_node("Unsqueeze", [f"profile_{name}", f"one_{name}"], [f"row_{name}"]),
            helper.make_node("Resize", [f"row_{name}", "", "scales"], [f"fine_{name}"], mode="nearest"),
            helper.make_node("Mul", [f"fine_{name}", "ones"], [name]),
        ]
    return _model(nodes, constants)


def _model(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 106, BINS])
            for name in ("simcc_x", "simcc_y")
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
