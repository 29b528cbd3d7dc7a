"""Stand-ins for what the originals of FLAME hold besides arrays: chumpy's expressions, SciPy's sparse
matrices, arrays of objects and tensors inside a plain pickle. They keep what the pickle gives them and do
nothing; ``resolved`` turns them into arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.checkpoints import CHECKPOINT_NAMES, load_checkpoint, tensors
from recon_service.weights.convert.errors import OriginalInvalid, PickleRefused
from recon_service.weights.convert.pickles import ARRAY_NAMES, PickledArray, load_arrays

MAX_DENSE: Final = 50_000_000
"""Entries of a sparse matrix written out in full; FLAME's has 25,115."""

_plain_dtype: Any = ARRAY_NAMES["numpy", "dtype"]


class _Inert:
    """Keeps the state that the pickle gives it."""

    def __init__(self, *_arguments: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}


class _Chumpy(_Inert):
    """A chumpy constant: its value is ``x``."""

    def array(self) -> NDArray[Any]:
        if "x" not in self.state:
            raise OriginalInvalid("The pickle holds a chumpy expression that is no constant.")
        return np.asarray(_array(self.state["x"]))


class _Select(_Inert):
    """A chumpy selection: entries ``idxs`` of ``a``, in the shape ``preferred_shape``."""

    def array(self) -> NDArray[Any]:
        values = _array(self.state.get("a")).reshape(-1)
        rows = _array(self.state.get("idxs")).astype(np.int64).reshape(-1)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(values):
            raise OriginalInvalid("The pickle holds a chumpy selection beyond its array.")
        shape = self.state.get("preferred_shape")
        return np.asarray(values[rows] if shape is None else values[rows].reshape(resolved(shape)))


class _Sparse(_Inert):
    """A compressed sparse matrix, by columns or rows."""

    by_columns = True

    def array(self) -> NDArray[np.float64]:
        try:
            shape = tuple(int(n) for n in resolved(self.state.get("_shape", self.state.get("shape"))))
            values = _array(self.state["data"]).astype(np.float64)
            inner = _array(self.state["indices"]).astype(np.int64)
            starts = _array(self.state["indptr"]).astype(np.int64)
            major, minor = (shape[1], shape[0]) if self.by_columns else (shape[0], shape[1])
        except (KeyError, TypeError, IndexError) as fault:
            raise OriginalInvalid("The pickle holds a sparse matrix without its parts.") from fault
        sound = (
            math.prod(shape) <= MAX_DENSE
            and starts.shape == (major + 1,)
            and starts[0] == 0
            and starts[-1] == len(values) == len(inner)
            and (np.diff(starts) >= 0).all()
            and (not len(inner) or 0 <= inner.min() <= inner.max() < minor)
        )
        if not sound:
            raise OriginalInvalid("The pickle holds a sparse matrix whose parts do not fit each other.")
        dense = np.zeros((major, minor))
        np.add.at(dense, (np.repeat(np.arange(major), np.diff(starts)), inner), values)
        return dense.T.copy() if self.by_columns else dense


class _SparseRows(_Sparse):
    by_columns = False


class _ObjectType:
    """The element type of an array of objects."""

    def __setstate__(self, _state: object) -> None:
        """Flags, of no interest."""


def _dtype(code: object, *flags: object) -> object:
    text = code.decode("ascii", "replace") if isinstance(code, bytes) else code
    return _ObjectType() if text in ("O", "O4", "O8") else _plain_dtype(code, *flags)


class _MaybeObjects:
    """An array of numbers or of objects."""

    def __init__(self) -> None:
        self.value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, _, content = state
        if isinstance(dtype, _ObjectType):
            if not isinstance(content, list) or len(content) != math.prod(int(n) for n in shape):
                raise OriginalInvalid("The pickle holds an array of objects whose size is not its content's.")
            self.value = content[0] if len(shape) == 0 else content
        else:
            self.value = PickledArray()
            self.value.__setstate__(state)


def _reconstruct(kind: object, _shape: object, _code: object) -> _MaybeObjects:
    if kind is not ARRAY_NAMES["numpy", "ndarray"]:
        raise PickleRefused("The pickle holds a subclass of an array.")
    return _MaybeObjects()


def _from_buffer(buffer: object, dtype: object, shape: object, order: object) -> _MaybeObjects:
    """How NumPy writes arrays since the fifth protocol of pickles."""
    if not isinstance(buffer, bytes | bytearray):
        raise PickleRefused("The pickle holds an array without its bytes.")
    found = _MaybeObjects()
    found.__setstate__((1, shape, dtype, order == "F", bytes(buffer)))
    return found


def _make(kind: object, _base: object, _state: object) -> _Inert:
    if not (isinstance(kind, type) and issubclass(kind, _Inert)):
        raise PickleRefused("The pickle makes an object of a kind that no model needs.")
    return kind()


def _set_of(items: object = ()) -> tuple[object, ...]:
    return tuple(items) if isinstance(items, list | tuple) else ()


def _storage(content: object) -> object:
    if not isinstance(content, bytes):
        raise PickleRefused("The pickle holds a storage that is no bytes.")
    return load_checkpoint(content)


_OBJECT = object()
"""The name ``object``, mentioned but never called."""

FLAME_NAMES: Final[Mapping[tuple[str, str], object]] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
    ("numpy", "dtype"): _dtype,
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _Select,
    **{(f"scipy.sparse{part}", "csc_matrix"): _Sparse for part in ("", ".csc", "._csc")},
    **{(f"scipy.sparse{part}", "csr_matrix"): _SparseRows for part in ("", ".csr", "._csr")},
    **{(module, "_reconstructor"): _make for module in ("copy_reg", "copyreg")},
    **{(module, "object"): _OBJECT for module in ("__builtin__", "builtins")},
    **{(module, "set"): _set_of for module in ("__builtin__", "builtins")},
    **{key: value for key, value in CHECKPOINT_NAMES.items() if key[0].startswith("torch")},
    ("torch.storage", "_load_from_bytes"): _storage,
}
"""What a pickle of FLAME may name besides arrays, and what it gets."""


def load_flame_pickle(content: bytes) -> Any:
    """The containers and arrays of a pickle with chumpy, sparse or tensor values.

    Raises PickleRefused for one that asks for more, OriginalInvalid for one that cannot be read.
    """
    try:
        return resolved(load_arrays(content, extra=FLAME_NAMES))
    except RecursionError as fault:
        raise OriginalInvalid("The pickle holds something that contains itself.") from fault


def resolved(value: Any) -> Any:
    """The value with arrays in the place of the stand-ins, in dicts, lists and tuples too."""
    match value:
        case _Chumpy() | _Select() | _Sparse():
            return value.array()
        case _MaybeObjects():
            return resolved(value.value)
        case PickledArray():
            if value.array is None:
                raise OriginalInvalid("The pickle holds an array without content.")
            return value.array
        case dict():
            return {resolved(key): resolved(item) for key, item in value.items()}
        case list():
            return [resolved(item) for item in value]
        case tuple():
            return tuple(resolved(item) for item in value)
        case _:
            return tensors(value)


def _array(value: Any) -> NDArray[Any]:
    found = resolved(value)
    if not isinstance(found, np.ndarray | list | tuple | int | float):
        raise OriginalInvalid("The pickle lacks an array where a model has one.")
    return np.asarray(found)
