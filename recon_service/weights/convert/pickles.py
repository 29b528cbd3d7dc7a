"""Read pickles of arrays without giving them any power.

A pickle is a program: it names importable things and calls them. Here a name is looked up in a short table,
and what stands in the table are stand-ins of ours, not numpy's own constructors: an array is only ever made
from a length-checked buffer. Every other name is refused before anything is called.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.errors import OriginalInvalid, PickleRefused

MAX_BYTES: Final = 4 << 30
_PLAIN_DTYPE: Final = re.compile(r"[biufc?](1|2|4|8|16)?")


class _Marker:
    """A name that may be mentioned, never called."""

    __slots__ = ()


class _DType:
    """Stands in for ``numpy.dtype``: plain numbers only."""

    __slots__ = ("code", "order")

    def __init__(self, code: object, *_flags: object) -> None:
        if isinstance(code, bytes):
            code = code.decode("ascii", "replace")
        if not isinstance(code, str) or not _PLAIN_DTYPE.fullmatch(code):
            raise PickleRefused(f"The pickle holds an array of {str(code)[:20]!r}, not of numbers.")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        order = order.decode("ascii", "replace") if isinstance(order, bytes) else order
        if order not in ("<", ">", "|", "="):
            raise PickleRefused("The pickle holds an array of an unknown byte order.")
        self.order = order

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(f"{self.order}{self.code}")


class PickledArray:
    """Stands in for ``numpy.ndarray`` while the pickle is read; ``plain`` turns it into an array."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, content = state
        if isinstance(content, str):  # written by Python 2
            content = content.encode("latin-1")
        if not isinstance(dtype, _DType) or not isinstance(content, bytes):
            raise PickleRefused("The pickle holds an array of objects.")
        kind = dtype.numpy()
        if math.prod(int(n) for n in shape) * kind.itemsize != len(content):
            raise OriginalInvalid("The pickle holds an array whose size is not that of its content.")
        flat = np.frombuffer(content, kind)
        self.array = flat.reshape(shape, order="F" if fortran else "C").astype(kind.newbyteorder("="))


def _reconstruct(kind: object, _shape: object, _code: object) -> PickledArray:
    if kind is not _NDARRAY:
        raise PickleRefused("The pickle holds a subclass of an array.")
    return PickledArray()


def _scalar(dtype: object, content: object = b"") -> object:
    if isinstance(content, str):
        content = content.encode("latin-1")
    if not isinstance(dtype, _DType) or not isinstance(content, bytes):
        raise PickleRefused("The pickle holds a scalar that is no number.")
    return np.frombuffer(content, dtype.numpy(), count=1)[0].item()


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise PickleRefused("The pickle asks for an encoding that no array needs.")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """How old protocols write empty bytes: a call of ``bytes`` without arguments."""
    return b""


_NDARRAY = _Marker()
ARRAY_NAMES: Final[Mapping[tuple[str, str], object]] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): OrderedDict,
}
"""Everything that a pickle of arrays may name, and what it gets."""


class RestrictedUnpickler(pickle.Unpickler):
    """Knows the names of a table and no other."""

    def __init__(
        self, stream: io.BufferedIOBase | io.BytesIO, names: Mapping[tuple[str, str], object]
    ) -> None:
        super().__init__(stream, encoding="latin1")
        self._names = names

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._names[module, name]
        except KeyError:
            raise PickleRefused(
                f"The pickle asks for {module[:60]}.{name[:60]}, which no array needs.",
                next_step="Do not use this file: get it again from its original source.",
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise PickleRefused("The pickle refers to something outside of itself.")


def load_arrays(content: bytes, *, extra: Mapping[tuple[str, str], object] | None = None) -> Any:
    """The containers and arrays of a pickle. extra: further names and what stands in for them.

    Raises PickleRefused for a pickle that asks for more, OriginalInvalid for one that cannot be read.
    """
    return plain(unpickled(RestrictedUnpickler(io.BytesIO(content), {**ARRAY_NAMES, **(extra or {})})))


def unpickled(reader: pickle.Unpickler) -> Any:
    """What a restricted unpickler reads, its own faults as typed errors."""
    try:
        return reader.load()
    except (PickleRefused, OriginalInvalid):
        raise
    except Exception as fault:  # a damaged program can fail in any way, and none of them is ours
        raise OriginalInvalid(f"The pickle cannot be read ({type(fault).__name__}).") from fault


def plain(value: Any) -> Any:
    """The value with arrays in the place of their stand-ins, in dicts, lists and tuples too."""
    match value:
        case PickledArray():
            if value.array is None:
                raise OriginalInvalid("The pickle holds an array without content.")
            return value.array
        case dict():
            return {plain(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case tuple():
            return tuple(plain(item) for item in value)
        case _:
            return value
