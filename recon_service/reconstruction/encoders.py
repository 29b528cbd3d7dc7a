"""Run an encoder on a stack of crops: by ONNX Runtime; torch on request, to check it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import InvalidValue, WeightsUnavailable
from recon_service.networks.safetensors import read_safetensors
from recon_service.reconstruction.session import Floats, OnnxSession, Session, SessionOptions, need_onnx

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
    path: Path,
    *,
    graph: Callable[[Parameters], Any],
    torch_networks: str,
    options: SessionOptions,
    engine: Engine = Engine.ONNX,
    elsewhere: Session | None = None,
) -> Encoder:
    """The encoder with the parameters in a safetensors file.

    elsewhere: where another process runs it, so that nothing is read here. graph: makes an ONNX model of the
    parameters with one input named "image". torch_networks: the module that makes a
    torch network of them, loaded only when asked for. Raises WeightsUnavailable for a file that is none,
    BackendUnavailable where the package that runs the network is not installed.
    """
    if elsewhere is not None:
        return lambda images: elsewhere.run(image=images)[0]
    if engine is Engine.TORCH:
        with _wrong_parameters(path):
            network: Encoder = importlib.import_module(torch_networks).load_encoder(_parameters(path))
            return network
    content = encoder_graph(path, graph)
    with _wrong_parameters(path):
        session = OnnxSession(content, options, name=path.stem)
    return lambda images: session.run(image=images)[0]


def encoder_graph(path: Path, graph: Callable[[Parameters], Any]) -> bytes:
    """The ONNX graph of the parameters in a file; raises as ``load_encoder`` does."""
    parameters = _parameters(path)
    need_onnx()
    with _wrong_parameters(path):
        return bytes(graph(parameters).SerializeToString())


def _parameters(path: Path) -> Parameters:
    try:
        return read_safetensors(path)
    except InvalidValue as fault:
        raise WeightsUnavailable(f"{path.name} cannot be read.", next_step=CONVERT_AGAIN) from fault


@contextmanager
def _wrong_parameters(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, RuntimeError) as fault:
        raise WeightsUnavailable(
            f"{path.name} does not hold the parameters of this network.", next_step=CONVERT_AGAIN
        ) from fault


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
