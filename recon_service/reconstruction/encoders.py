"""Run an encoder on a stack of crops: by ONNX Runtime; torch on request, to check it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import InvalidValue, WeightsUnavailable
from recon_service.networks.safetensors import read_safetensors
from recon_service.reconstruction.backend import BackendOptions
from recon_service.reconstruction.session import Floats, OnnxSession, need_onnx

T = TypeVar("T")
Parameters = Mapping[str, NDArray[Any]]
TORCH: Final = "recon_service.reconstruction.torch_encoder"
NUMBERS: Final[Mapping[str, Any]] = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}
"""What the arrays of a file are read as, by numpy's kinds."""
CONVERT_AGAIN = "Convert it again: recon weights list --json says how."


class Engine(StrEnum):
    """What runs the network."""

    ONNX = "onnx"
    TORCH = "torch"


class Encoder(Protocol):
    """(B, 3, S, S) RGB in [0, 1] to (B, P). Thread-safe."""

    def __call__(self, images: Floats, /) -> Floats: ...


@dataclass(frozen=True, slots=True)
class EncoderNetwork:
    """One backend's encoder.

    name: what it is called where another process runs it. graph: makes an ONNX model of the parameters, with
    one input named "image". torch_module: whose ``load_encoder`` makes a torch network of them; imported only
    when asked for.
    """

    name: str
    graph: Callable[[Parameters], Any]
    torch_module: str

    def load(self, path: Path, options: BackendOptions, engine: Engine = Engine.ONNX) -> Encoder:
        """The encoder with the parameters in a safetensors file, which is not read where the options name
        another process.

        Raises WeightsUnavailable for a file that is none, BackendUnavailable where the package that runs the
        network is not installed.
        """
        if options.networks is not None:
            elsewhere = options.networks(self.name)
            return lambda images: elsewhere.run(image=images)[0]
        if engine is Engine.TORCH:
            with _wrong_parameters(path):
                network: Encoder = importlib.import_module(TORCH).load_encoder(
                    self.torch_module, _parameters(path)
                )
                return network
        content = self.graph_of(path)
        with _wrong_parameters(path):
            session = OnnxSession(content, options.session, name=path.stem)
        return lambda images: session.run(image=images)[0]

    def graph_of(self, path: Path) -> bytes:
        """The ONNX graph of the parameters in a file; raises as ``load`` does."""
        parameters = _parameters(path)
        need_onnx()
        with _wrong_parameters(path):
            return bytes(self.graph(parameters).SerializeToString())


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
    """A value made of the arrays of an npz file, in double precision. Raises WeightsUnavailable where they
    do not make one.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return make(**{name: array.astype(NUMBERS[array.dtype.kind]) for name, array in arrays.items()})
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as fault:
        raise WeightsUnavailable(
            f"{path.name} does not hold what it should.",
            next_step=CONVERT_AGAIN,
        ) from fault
