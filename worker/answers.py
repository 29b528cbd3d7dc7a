"""What a compute process answers, as JSON and plain arrays.

The process has looked at what strangers sent, and its parent holds the keys. A pickle would let whoever took
over a decoder run code in the parent; here an answer can only be made of the values below, and every record
goes through its own constructor, with its checks. Towards the child there are pickles: it has to trust its
parent anyway.

A message is a JSON document and as many frames of bytes as it announces. In the document, an object with one
member stands for what JSON does not have: ``tuple``, ``map``, ``bytes``, ``array``, ``moment``, ``enum``,
``record``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from importlib import import_module
from math import prod
from multiprocessing.connection import Connection
from typing import Any, Final, Literal

import numpy as np

from recon_service.domain.errors import ReconError

HEAD_BYTES: Final = 64 << 20
FRAME_BYTES: Final = 1 << 30
"""Of all frames of one message together."""
PACKAGES: Final = ("recon_service.domain.", "recon_service.application.records.")
"""Where the records and enumerations of answers are defined."""
_NAME: Final = re.compile(r"(recon_service(?:\.[a-z0-9_]+)+):([A-Za-z]+)")


class BadAnswer(Exception):
    """What came is no answer of a compute process that is sound."""


def send(connection: Connection, answer: object) -> None:
    """Raises OSError where nobody listens any more, TypeError for what no answer may hold."""
    frames: list[Any] = []
    head = json.dumps(_written(answer, frames))
    connection.send_bytes(json.dumps([frame.nbytes for frame in frames]).encode())
    connection.send_bytes(head.encode())
    for frame in frames:
        if frame.nbytes:
            connection.send_bytes(frame)


def receive(connection: Connection) -> Any:
    """The next answer. Raises EOFError, OSError, BadAnswer."""
    try:
        sizes = json.loads(connection.recv_bytes(HEAD_BYTES))
        if not all(type(size) is int and size >= 0 for size in sizes) or sum(sizes) > FRAME_BYTES:
            raise BadAnswer("too many bytes")
        head = json.loads(connection.recv_bytes(HEAD_BYTES))
        frames = [connection.recv_bytes(size) if size else b"" for size in sizes]
        if [len(frame) for frame in frames] != sizes:
            raise BadAnswer("not the announced bytes")
        return _read(head, frames)
    # No words of the child's in the message: it goes to the log.
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, ReconError) as fault:
        raise BadAnswer(type(fault).__name__) from None


def _written(value: object, frames: list[Any]) -> object:
    if isinstance(value, Enum):
        return {"enum": [_name(type(value)), value.value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        items = [_written(item, frames) for item in value]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, Mapping):
        return {"map": [[_written(key, frames), _written(item, frames)] for key, item in value.items()]}
    if isinstance(value, bytes):
        frames.append(memoryview(value))
        return {"bytes": len(frames) - 1}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise TypeError(f"an answer holds no array of {value.dtype}")
        order: Literal["C", "F"] = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        frames.append(value.ravel(order).view(np.uint8).data)
        return {"array": [len(frames) - 1, value.dtype.str, list(value.shape), order]}
    if isinstance(value, datetime):
        return {"moment": value.isoformat()}
    if is_dataclass(value) and not isinstance(value, type):
        parts = [_written(getattr(value, one.name), frames) for one in fields(value)]
        return {"record": [_name(type(value)), parts]}
    raise TypeError(f"an answer holds no {type(value).__name__}")


def _read(written: Any, frames: list[bytes]) -> Any:
    if isinstance(written, list):
        return [_read(item, frames) for item in written]
    if not isinstance(written, dict):
        return written
    ((kind, content),) = written.items()
    match kind:
        case "tuple":
            return tuple(_read(item, frames) for item in content)
        case "map":
            return {_read(key, frames): _read(item, frames) for key, item in content}
        case "bytes":
            return frames[content]
        case "array":
            frame, dtype, shape, order = content
            return _array(frames[frame], np.dtype(str(dtype)), tuple(shape), order)
        case "moment":
            return datetime.fromisoformat(content)
        case "enum":
            name, value = content
            return _kind(name, Enum)(value)
        case "record":
            name, parts = content
            return _kind(name, None)(*(_read(part, frames) for part in parts))
    raise BadAnswer("an unknown kind of value")


def _array(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any) -> Any:
    if dtype.kind not in "biuf" or any(type(side) is not int or side < 0 for side in shape):
        raise BadAnswer("no such array")
    if len(content) != prod(shape) * dtype.itemsize:
        raise BadAnswer("not the announced array")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")


def _name(kind: type) -> str:
    name = f"{kind.__module__}:{kind.__qualname__}"
    _kind(name, Enum if issubclass(kind, Enum) else None)  # whoever cannot be read is not sent
    return name


@cache
def _kind(name: str, base: type | None) -> Any:
    """The enumeration (base Enum) or record of that name. Raises TypeError: it is none, or of elsewhere."""
    found = _NAME.fullmatch(name)
    if found is None or not found[1].startswith(PACKAGES):
        raise TypeError("no value of an answer")
    kind = getattr(import_module(found[1]), found[2], None)
    if not isinstance(kind, type) or kind.__module__ != found[1]:
        raise TypeError("no value of an answer")
    if not (issubclass(kind, base) if base is not None else is_dataclass(kind)):
        raise TypeError("no value of an answer")
    return kind
