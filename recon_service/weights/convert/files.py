"""Write what was converted: safetensors and npz, the same bytes for the same arrays."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.errors import OriginalInvalid

_NAMES: Final = {
    "float64": "F64",
    "int64": "I64",
    "float32": "F32",
    "int32": "I32",
    "float16": "F16",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_RANK: Final = ["U8", "I8", "I16", "F16", "I32", "F32", "F64", "I64"]
"""Arrays of the widest numbers come first (so that all are aligned), each kind by ascending name."""


def safetensors_bytes(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None = None) -> bytes:
    """A file in the safetensors format, byte for byte as its reference implementation writes it."""
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    body = io.BytesIO()
    kinds = {name: _NAMES.get(array.dtype.name) for name, array in arrays.items()}
    if missing := next((name for name, kind in kinds.items() if kind is None), None):
        raise OriginalInvalid(f"{missing} holds {arrays[missing].dtype}, which safetensors does not know.")
    rank = {kind: n for n, kind in enumerate(["BOOL", *_RANK])}
    for name in sorted(arrays, key=lambda n: (-rank[kinds[n] or ""], n)):
        begin = body.tell()
        body.write(np.ascontiguousarray(arrays[name]).astype(arrays[name].dtype.newbyteorder("<")).tobytes())
        header[name] = {
            "dtype": kinds[name],
            "shape": list(arrays[name].shape),
            "data_offsets": [begin, body.tell()],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body.getvalue()


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An npz file."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **dict(arrays))
    return stream.getvalue()
