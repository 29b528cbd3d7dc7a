"""Read a file of named arrays in the safetensors format: eight bytes with the length of a JSON header (little
endian), the header, the numbers. Nothing in it is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import InvalidValue

Arrays = Mapping[str, NDArray[np.float32]]
DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "F64": np.dtype("<f8"),
}
MAX_HEADER = 10_000_000


def read_safetensors(path: Path) -> Arrays:
    """The arrays of floating-point numbers, as float32; whole numbers (counters of training) are left out.

    Raises InvalidValue for a file that is none.
    """
    try:
        return MappingProxyType(_arrays(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise InvalidValue(
            f"{path.name} is no safetensors file", next_step="Pull or convert it again."
        ) from fault


def _arrays(content: bytes) -> dict[str, NDArray[np.float32]]:
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= min(MAX_HEADER, len(content) - 8):
        raise ValueError("the header is longer than the file")
    header = json.loads(content[8 : 8 + length])
    body = memoryview(content)[8 + length :]
    arrays: dict[str, NDArray[np.float32]] = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in DTYPES:
            continue
        begin, end = entry["data_offsets"]
        if not 0 <= begin <= end <= len(body):
            raise ValueError("an array lies outside the file")
        numbers = np.frombuffer(body[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        array = numbers.astype(np.float32)
        array.setflags(write=False)
        arrays[name] = array
    return arrays
