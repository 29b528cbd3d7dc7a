"""Sessions of the reconstruction networks, in parts where the memory does not suffice; and what is said
where ONNX Runtime is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import BackendUnavailable
from recon_service.networks.onnx_runtime import Device, opened
from recon_service.reconstruction.half_precision import halved

Floats = NDArray[np.float32]
log = logging.getLogger(__name__)

NEXT_STEP = "Run: pip install 'recon-service[cpu]' (or [gpu] on a machine with a GPU)."


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """device: where. threads: of one run on the CPU (the service spreads over processes instead).
    batch: items per run at most. half: half precision, which the tolerances of the golden files do not allow
    (docs/adr/0102). bound: inputs and outputs are put on the device by ONNX Runtime's binding; None: on a
    GPU.
    """

    device: Device = Device.AUTO
    threads: int = 1
    batch: int = 64
    half: bool = False
    bound: bool | None = None


class Session(Protocol):
    """One network, wherever it runs: arrays with a first axis of items in, all outputs out. Thread-safe."""

    def run(self, **inputs: Floats) -> list[Floats]: ...


class OnnxSession:
    """One network in this process; thread-safe."""

    def __init__(self, graph: bytes, options: SessionOptions | None = None, *, name: str = "network") -> None:
        """graph: content of an ONNX file. Raises BackendUnavailable where there is no ONNX Runtime, or where
        CUDA was asked for and there is none.
        """
        options = options or SessionOptions()
        if options.half:
            graph = halved(graph)
        _onnxruntime()  # which says what to install where it is missing
        # TF32 rounds to ten bits: the tolerances of the golden files would not hold.
        self._session, self.device = opened(
            graph, options.device, name=name, threads=options.threads, tf32=False
        )
        if options.device is Device.CUDA and self.device is Device.CPU:
            raise BackendUnavailable(
                f"{name} cannot run on a GPU here.",
                next_step="Install onnxruntime-gpu and CUDA, or ask for the device auto.",
            )
        self._bound = self.device is Device.CUDA if options.bound is None else options.bound
        self._name = name
        self.fits: int | None = None
        """Items per run that the memory was found to allow; None: it has never run out."""

    def run(self, **inputs: Floats) -> list[Floats]:
        """All outputs, of all items.

        When the memory does not suffice, the items go by halves, here and from then on. Raises what ONNX
        Runtime raises, of memory only when one item alone is too much.
        """
        given = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        items = min(len(array) for array in given.values())
        if self.fits is not None and items > self.fits:
            return self._in_parts(given, self.fits, items)
        try:
            return self._whole(given)
        except Exception as fault:
            if items < 2 or not out_of_memory(fault):
                raise
        half = -(-items // 2)
        log.warning("%s: out of memory with %d items; at most %d from now on", self._name, items, half)
        self.fits = half if self.fits is None else min(self.fits, half)
        return self._in_parts(given, half, items)

    def _in_parts(self, given: Mapping[str, Floats], size: int, items: int) -> list[Floats]:
        parts = [
            self.run(**{name: array[at : at + size] for name, array in given.items()})
            for at in range(0, items, size)
        ]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _whole(self, given: Mapping[str, Floats]) -> list[Floats]:
        if not self._bound:
            return list(self._session.run(None, dict(given)))
        # One copy each way, of the whole batch: what lies between stays on the device.
        binding = self._session.io_binding()
        values = _onnxruntime().OrtValue
        for name, array in given.items():
            binding.bind_ortvalue_input(name, values.ortvalue_from_numpy(array, self.device.value, 0))
        for output in self._session.get_outputs():
            binding.bind_output(output.name, self.device.value, 0)
        self._session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())


OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "bad_alloc", "alloc_failed", "bad allocation")


def out_of_memory(fault: Exception) -> bool:
    """Whether a run failed for want of memory: ONNX Runtime tells by its message alone."""
    return isinstance(fault, MemoryError) or any(sign in str(fault).lower() for sign in OUT_OF_MEMORY)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as fault:
        raise BackendUnavailable("ONNX Runtime is not installed.", next_step=NEXT_STEP) from fault
    return onnxruntime


def need_onnx() -> None:
    """Raises BackendUnavailable where the package that makes graphs is missing."""
    try:
        import onnx  # noqa: F401
    except ImportError as fault:
        raise BackendUnavailable("The package onnx is not installed.", next_step=NEXT_STEP) from fault
