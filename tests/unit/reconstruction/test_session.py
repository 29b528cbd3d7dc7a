"""ONNX Runtime sessions: memory that runs out, binding, half precision. The network is a real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recon_service.networks.onnx_runtime import Device
from recon_service.reconstruction.session import OnnxSession, SessionOptions, out_of_memory

pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")
pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")

import onnxruntime as runtime

from tests.small_network import crops, graph, wanted


def session(**options: Any) -> OnnxSession:
    return OnnxSession(graph(), SessionOptions(Device.CPU, **options))


class Scarce:
    """The real session behind a memory that holds so many items: what it raises is ONNX Runtime's own."""

    def __init__(self, inner: Any, room: int) -> None:
        self._inner, self.room = inner, room
        self.asked: list[int] = []

    def run(self, names: object, inputs: dict[str, Any]) -> Any:
        items = len(next(iter(inputs.values())))
        self.asked.append(items)
        if items > self.room:
            raise runtime.capi.onnxruntime_pybind11_state.RuntimeException(
                "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running "
                "Conv node. Status Message: bfc_arena.cc Failed to allocate memory for requested buffer"
            )
        return self._inner.run(names, inputs)


@pytest.mark.parametrize("room", [1, 3, 5, 8])
def test_a_batch_too_big_for_the_memory_goes_by_halves_and_stays_small(room: int) -> None:
    subject = session()
    scarce = subject._session = Scarce(subject._session, room)
    given = crops(8)
    (out,) = subject.run(crops=given)
    np.testing.assert_allclose(out, wanted(given), atol=1e-5)
    assert (subject.fits is None) == (room == 8)
    before = len(scarce.asked)
    (again,) = subject.run(crops=given)
    np.testing.assert_array_equal(again, out)
    assert max(scarce.asked[before:]) <= room  # it does not run into the wall a second time


def test_one_item_that_does_not_fit_is_an_error() -> None:
    subject = session()
    subject._session = Scarce(subject._session, 0)
    with pytest.raises(Exception, match="Failed to allocate"):
        subject.run(crops=crops(4))


def test_another_fault_is_not_taken_for_a_lack_of_memory() -> None:
    subject = session()
    with pytest.raises(Exception, match="INVALID_ARGUMENT") as caught:
        subject.run(crops=np.zeros((4, 5, 16, 16), np.float32))
    assert not out_of_memory(caught.value)
    assert subject.fits is None


def test_a_memory_that_really_ends_is_recognized() -> None:
    """A process of its own with a limit on its address space, and a batch that is too big for it."""
    script = """
import resource, numpy as np
from recon_service.reconstruction.session import OnnxSession, SessionOptions
from recon_service.networks.onnx_runtime import Device
from tests.small_network import crops, graph, wanted
subject = OnnxSession(graph(), SessionOptions(Device.CPU))
given = np.repeat(crops(4), 2048, axis=0)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 120_000_000, -1))
(out,) = subject.run(crops=given)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
assert subject.fits is not None and subject.fits < len(given), subject.fits
assert np.allclose(out, np.repeat(wanted(crops(4)), 2048, axis=0), atol=1e-5)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("limits of the address space are Linux's")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_bound_inputs_and_outputs_give_the_same_to_the_last_bit() -> None:
    given = crops(5)
    (plain,), (bound,) = session(bound=False).run(crops=given), session(bound=True).run(crops=given)
    np.testing.assert_array_equal(plain, bound)


def test_half_precision_is_near_and_not_within_the_tolerance_of_the_golden_files() -> None:
    given = crops(5)
    (whole,), (half,) = session().run(crops=given), session(half=True).run(crops=given)
    assert half.dtype == np.float32
    error = np.abs(half - whole).max()
    assert 5e-5 < error < 1e-2 * np.abs(whole).max()


def test_inputs_that_are_views_and_empty_batches() -> None:
    given = crops(6)
    (out,) = session().run(crops=given[::2])
    np.testing.assert_allclose(out, wanted(given[::2]), atol=1e-5)
    (none,) = session().run(crops=given[:0])
    assert none.shape == (0, 4)
