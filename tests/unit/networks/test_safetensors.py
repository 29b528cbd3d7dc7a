from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.networks.safetensors import read_safetensors


def written(path: Path, arrays: dict[str, np.ndarray], **changes: object) -> Path:
    names = {"float32": "F32", "float16": "F16", "int64": "I64"}
    header: dict[str, object] = {"__metadata__": {"made": "here"}}
    body = b""
    for name, array in arrays.items():
        header[name] = {
            "dtype": names[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + array.nbytes],
        } | changes
        body += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def test_arrays_come_back_as_float32_and_counters_are_left_out(tmp_path: Path) -> None:
    first = np.arange(6, dtype=np.float32).reshape(2, 3)
    half = np.array([0.5, -2.0], dtype=np.float16)
    found = read_safetensors(
        written(tmp_path / "a", {"first": first, "half": half, "count": np.array([3], dtype=np.int64)})
    )
    assert set(found) == {"first", "half"}
    np.testing.assert_array_equal(found["first"], first)
    np.testing.assert_array_equal(found["half"], [0.5, -2.0])
    assert found["half"].dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        found["first"][0, 0] = 1


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 20, (2).to_bytes(8, "little") + b"[]", (5).to_bytes(8, "little") + b"{nope"]
)
def test_other_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(InvalidValue, match="bad is no safetensors file"):
        read_safetensors(tmp_path / "bad")


@pytest.mark.parametrize("change", [{"data_offsets": [0, 1000]}, {"shape": [7]}, {"data_offsets": "x"}])
def test_a_header_that_does_not_fit_the_numbers_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = written(tmp_path / "bad", {"first": np.zeros(6, np.float32)}, **change)
    with pytest.raises(InvalidValue):
        read_safetensors(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue):
        read_safetensors(tmp_path / "nowhere")
