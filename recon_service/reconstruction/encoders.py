"""Run an encoder on a stack of crops: by ONNX Runtime; torch on request, to check it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import InvalidValue, WeightsUnavailable
from recon_service.networks.safetensors import read_safetensors

Floats = NDArray[np.float32]
T = TypeVar("T")
Parameters = Mapping[str, NDArray[Any]]
CONVERT_AGAIN = "Convert it again: recon weights list --json says how."


class Engine(StrEnum):
    """What runs the network."""

    ONNX = "onnx"
    TORCH = "torch"


class Encoder(Protocol):
    """(B, 3, S, S) RGB in [0, 1] to (B, P). Thread-safe."""

    def __call__(self, images: Floats) -> Floats: ...


def load_encoder(
    path: Path, *, graph: Callable[[Parameters], Any], torch_networks: str, engine: Engine = Engine.ONNX
) -> Encoder:
    """The encoder with the parameters in a safetensors file.

    graph: makes an ONNX model of them. torch_networks: the module that makes a torch network of them, loaded
    only when asked for. Raises WeightsUnavailable for a file that is none, or where the package that runs the
    network is not installed.
    """
    try:
        parameters = read_safetensors(path)
    except InvalidValue as fault:
        raise WeightsUnavailable(f"{path.name} cannot be read.", next_step=CONVERT_AGAIN) from fault
    try:
        if engine is Engine.TORCH:
            return _run_by_torch(importlib.import_module(torch_networks).load_encoder(parameters))
        return _run_by_onnx(graph(parameters).SerializeToString())
    except ImportError as fault:
        raise WeightsUnavailable(
            f"the package {fault.name} is not installed",
            next_step="Run: pip install 'recon-service[cpu]' (or [gpu])",
        ) from fault
    except (KeyError, RuntimeError) as fault:
        raise WeightsUnavailable(
            f"{path.name} does not hold the parameters of this network.", next_step=CONVERT_AGAIN
        ) from fault


def _run_by_onnx(graph: bytes, *, threads: int = 1) -> Encoder:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    available = onnxruntime.get_available_providers()
    providers = [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in available]
    session = onnxruntime.InferenceSession(graph, options, providers=providers)
    name = session.get_inputs()[0].name

    def run(images: Floats) -> Floats:
        return np.asarray(session.run(None, {name: images})[0], dtype=np.float32)

    return run


def _run_by_torch(network: Callable[[Floats], Any]) -> Encoder:
    return lambda images: np.asarray(network(images), dtype=np.float32)


def read_arrays(path: Path, make: Callable[..., T]) -> T:
    """A value made of the arrays of an npz file. Raises WeightsUnavailable where they do not make one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return make(**{name: file[name] for name in file.files})
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as fault:
        raise WeightsUnavailable(
            f"{path.name} does not hold what it should.",
            next_step=CONVERT_AGAIN,
        ) from fault
