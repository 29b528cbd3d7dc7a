"""A tiny ONNX file, written byte by byte: protocol buffers of one matrix product."""

from __future__ import annotations

import numpy as np


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def _field(number: int, content: bytes | str | int) -> bytes:
    if isinstance(content, int):
        return _varint(number << 3) + _varint(content)
    raw = content.encode() if isinstance(content, str) else content
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def _tensor(name: str, array: np.ndarray) -> bytes:
    kind = 1 if array.dtype == np.float32 else 7
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, array.tobytes())


def _node(kind: str, inputs: tuple[str, ...], output: str) -> bytes:
    return b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)


def projection(weight: np.ndarray, side: int = 112) -> bytes:
    """The file of a network that flattens (1, 3, side, side) and multiplies it by ``weight`` (3 side², D)."""
    graph = b"".join(
        [
            _field(1, _node("Flatten", ("picture",), "flat")),
            _field(1, _node("MatMul", ("flat", "weight"), "vector")),
            _field(2, "projection"),
            _field(5, _tensor("weight", weight.astype(np.float32))),
            _field(11, _value("picture", (1, 3, side, side))),
            _field(12, _value("vector", (1, weight.shape[1]))),
        ]
    )
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))
