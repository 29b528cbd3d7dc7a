"""ONNX Runtime sessions: CUDA where there is one, the CPU otherwise; and what is said where it is missing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import BackendUnavailable
from recon_service.reconstruction.half_precision import halved

Floats = NDArray[np.float32]
log = logging.getLogger(__name__)

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
NEXT_STEP = "Run: pip install 'recon-service[cpu]' (or [gpu] on a machine with a GPU)."


class Device(StrEnum):
    """Where a network runs. AUTO: on a GPU where one can be used."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


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
        runtime = _onnxruntime()
        settings = runtime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = options.threads
        settings.log_severity_level = 4  # what fails is raised; the rest is advice about graphs
        session: Any = None
        if options.half:
            graph = halved(graph)
        if options.device is not Device.CPU and CUDA in runtime.get_available_providers():
            try:
                # TF32 rounds to ten bits: the tolerances of the golden files would not hold.
                providers = [(CUDA, {"use_tf32": "0"}), CPU]
                session = runtime.InferenceSession(graph, settings, providers=providers)
            except Exception as fault:  # its own exception types are many, and differ between versions
                log.warning("no CUDA session for %s: %s", name, type(fault).__name__)
        # A session that was asked for CUDA comes up without it where CUDA's libraries are missing.
        on_gpu = session is not None and session.get_providers()[0] == CUDA
        self.device = Device.CUDA if on_gpu else Device.CPU
        if options.device is Device.CUDA and self.device is Device.CPU:
            raise BackendUnavailable(
                f"{name} cannot run on a GPU here.",
                next_step="Install onnxruntime-gpu and CUDA, or ask for the device auto.",
            )
        self._session = session or runtime.InferenceSession(graph, settings, providers=[CPU])
        self._bound = on_gpu if options.bound is None else options.bound
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
