"""Read torch checkpoints (both file formats) into numpy arrays, without torch and without power."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.errors import OriginalInvalid, PickleRefused
from recon_service.weights.convert.pickles import ARRAY_NAMES, RestrictedUnpickler, plain, unpickled

_STORAGES: Final = {
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "DoubleStorage": "<f8",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL: Final = 1001


class _Kind:
    """Stands in for a storage class."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)


class _Storage:
    """Numbers that arrive now (zip) or after the pickle (legacy)."""

    __slots__ = ("kind", "numbers", "size")

    def __init__(self, kind: _Kind, size: int) -> None:
        self.kind, self.size = kind, size
        self.numbers: NDArray[Any] | None = None

    def fill(self, content: bytes) -> None:
        if len(content) != self.size * self.kind.dtype.itemsize:
            raise OriginalInvalid("The checkpoint holds a storage of another size than it says.")
        self.numbers = np.frombuffer(content, self.kind.dtype)


class _Tensor:
    """Stands in for a tensor: a strided view of a storage."""

    __slots__ = ("offset", "shape", "storage", "stride")

    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def array(self) -> NDArray[Any]:
        numbers = self.storage.numbers
        if numbers is None:
            raise OriginalInvalid("The checkpoint refers to a storage that it does not hold.")
        reach = sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        negative = min((self.offset, *self.shape, *self.stride)) < 0
        if negative or (0 not in self.shape and self.offset + reach >= len(numbers)):
            raise OriginalInvalid("The checkpoint holds a tensor that leaves its storage.")
        step = numbers.itemsize
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, [s * step for s in self.stride], writeable=False
        )
        return np.array(view, order="C")


def _rebuild_tensor(
    storage: object, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_rest: object
) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise PickleRefused("The checkpoint makes a tensor of something that is no storage.")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


def _rebuild_parameter(tensor: object, *_rest: object) -> object:
    return tensor


CHECKPOINT_NAMES: Final[Mapping[tuple[str, str], object]] = {
    **ARRAY_NAMES,
    **{("torch", name): _Kind(dtype) for name, dtype in _STORAGES.items()},
    **{("torch.storage", name): _Kind(dtype) for name, dtype in _STORAGES.items()},
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}
"""What a checkpoint may name, and what it gets."""


class _CheckpointUnpickler(RestrictedUnpickler):
    def __init__(self, stream: io.BytesIO, storage: Callable[[str, _Kind, int], _Storage]) -> None:
        super().__init__(stream, CHECKPOINT_NAMES)
        self._storage = storage

    def persistent_load(self, pid: Any) -> _Storage:
        try:
            tag, kind, key, _location, size, *_view = pid
        except (TypeError, ValueError):
            raise PickleRefused("The checkpoint refers to something outside of itself.") from None
        if tag != "storage" or not isinstance(kind, _Kind):
            raise PickleRefused("The checkpoint refers to something that is no storage.")
        return self._storage(str(key), kind, int(size))


def load_checkpoint(content: bytes) -> Any:
    """The containers and arrays of a checkpoint that ``torch.save`` wrote.

    Raises PickleRefused for one that asks for more, OriginalInvalid for one that cannot be read.
    """
    if zipfile.is_zipfile(io.BytesIO(content)):
        return tensors(_load_zip(content))
    return tensors(_load_legacy(content))


def _load_zip(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        program = [name for name in names if name.endswith("/data.pkl")]
        if len(program) != 1:
            raise OriginalInvalid("The archive is no checkpoint.")
        root = program[0][: -len("data.pkl")]
        order = f"{root}byteorder"
        if order in names and archive.read(order) != b"little":
            raise OriginalInvalid("The checkpoint was written on a big-endian machine.")
        storages: dict[str, _Storage] = {}

        def storage(key: str, kind: _Kind, size: int) -> _Storage:
            if key not in storages:
                storages[key] = _Storage(kind, size)
                try:
                    storages[key].fill(archive.read(f"{root}data/{key}"))
                except KeyError:
                    raise OriginalInvalid(f"The checkpoint lacks its storage {key[:20]}.") from None
            return storages[key]

        return unpickled(_CheckpointUnpickler(io.BytesIO(archive.read(program[0])), storage))


def _load_legacy(content: bytes) -> Any:
    stream = io.BytesIO(content)
    storages: dict[str, _Storage] = {}

    def storage(key: str, kind: _Kind, size: int) -> _Storage:
        return storages.setdefault(key, _Storage(kind, size))

    def read() -> Any:
        return unpickled(_CheckpointUnpickler(stream, storage))

    if read() != _LEGACY_MAGIC or read() != _LEGACY_PROTOCOL:
        raise OriginalInvalid("The file is no checkpoint.")
    system = read()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise OriginalInvalid("The checkpoint was written on a big-endian machine.")
    value = read()
    for key in read():
        if key not in storages:
            raise OriginalInvalid("The checkpoint holds a storage that nothing uses.")
        size = int.from_bytes(stream.read(8), "little")
        if size != storages[key].size:
            raise OriginalInvalid("The checkpoint holds a storage of another size than it says.")
        storages[key].fill(stream.read(size * storages[key].kind.dtype.itemsize))
    return value


def tensors(value: Any) -> Any:
    """The value with arrays in the place of tensors' stand-ins, in dicts, lists and tuples too."""
    match value:
        case _Tensor():
            return value.array()
        case dict():
            return {key: tensors(item) for key, item in value.items()}
        case list():
            return [tensors(item) for item in value]
        case tuple():
            return tuple(tensors(item) for item in value)
        case _:
            return plain(value)
