"""A pickle is read for its arrays and gets nothing else, whatever it asks for."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from recon_service.weights.convert.checkpoints import load_checkpoint
from recon_service.weights.convert.errors import OriginalInvalid, PickleRefused
from recon_service.weights.convert.pickles import load_arrays


class Calls:
    """Pickles as a call of something with arguments."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_containers_and_arrays_come_back(protocol: int) -> None:
    value = {
        "plain": np.arange(6, dtype=np.int32).reshape(2, 3),
        "columns": np.asfortranarray(np.random.default_rng(1).standard_normal((3, 4))),
        "swapped": np.arange(3, dtype=">f4"),
        "empty": np.zeros((0, 3), np.float16),
        "nested": [(np.float64(2.5), np.array(7)), OrderedDict(a=b"x")],
    }
    back = load_arrays(pickle.dumps(value, protocol))
    for name in ("plain", "columns", "swapped", "empty"):
        np.testing.assert_array_equal(back[name], value[name])
        assert back[name].dtype == value[name].dtype.newbyteorder("=")  # type: ignore[attr-defined]
    assert back["nested"] == [(2.5, np.array(7)), OrderedDict(a=b"x")]


@pytest.mark.parametrize(
    "attack",
    [
        lambda mark: Calls(os.system, f"touch {mark}"),
        lambda mark: Calls(subprocess.check_call, ["touch", str(mark)]),
        lambda mark: Calls(eval, f"open({str(mark)!r}, 'w')"),
        lambda mark: Calls(np.load, str(mark)),
        lambda mark: {"u": np.zeros(3), "w_shp": [Calls(exec, f"open({str(mark)!r}, 'w')")]},
        lambda mark: Calls(np.fromfile, str(mark)),
        lambda mark: Calls(np.memmap, str(mark), "u1", "w+", 0, (1,)),
    ],
)
@pytest.mark.parametrize("read", [load_arrays, load_checkpoint])
def test_a_pickle_that_asks_for_more_is_refused_before_anything_runs(
    attack: object, read: object, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(PickleRefused):
        read(pickle.dumps(attack(mark)))  # type: ignore[operator]
    assert not mark.exists()


def test_arrays_of_objects_and_subclasses_are_refused() -> None:
    for value in (
        np.array([{}, []], dtype=object),
        np.ma.masked_array([1, 2]),
        np.zeros(2, dtype=[("a", "f4")]),
    ):
        with pytest.raises(PickleRefused):
            load_arrays(pickle.dumps(value))


def test_an_array_that_lies_about_its_size_is_refused() -> None:
    lies = pickle.dumps(np.zeros(3, np.float32), 2).replace(b"K\x03\x85", b"K\x7f\x85")
    with pytest.raises(OriginalInvalid):
        load_arrays(lies)


def test_anything_else_is_a_typed_error() -> None:
    whole = pickle.dumps({"a": np.zeros(1000)})
    for content in (b"", b"no pickle", whole[: len(whole) // 2], b"\x80\x04]q\x00."[:3]):
        with pytest.raises((OriginalInvalid, PickleRefused)):
            load_arrays(content)
        with pytest.raises((OriginalInvalid, PickleRefused)):
            load_checkpoint(content)
