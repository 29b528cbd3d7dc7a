from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from recon_service.weights.convert.errors import OriginalInvalid, PickleRefused
from recon_service.weights.convert.mtcnn import mtcnn_network


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def npy_of(value: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(value, dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("part", ["pnet", "rnet", "onet"])
def test_the_arrays_are_those_that_numpy_unpickles(weights_mirror: Path, part: str) -> None:
    path = weights_mirror / "mtcnn" / f"{part}.npy"
    expected = np.load(path, allow_pickle=True)[()]
    found = mtcnn_network(path.read_bytes())
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_would_run_code_is_refused_and_does_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PickleRefused):
        mtcnn_network(npy_of({"a": Evil()}))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no npy",
        pickle.dumps({"a": np.zeros(3, np.float32)}),
        npy_of({"a": np.zeros(3)}),
        npy_of({"a": "text"}),
        npy_of(["list"]),
    ],
)
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises((OriginalInvalid, PickleRefused)):
        mtcnn_network(content)
