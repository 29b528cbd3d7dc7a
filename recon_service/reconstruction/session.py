"""ONNX Runtime sessions: CUDA where there is one, the CPU otherwise; and what is said where it is missing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import BackendUnavailable

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
    batch: items per run at most.
    """

    device: Device = Device.AUTO
    threads: int = 1
    batch: int = 64


class OnnxSession:
    """One network; thread-safe."""

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
        if options.device is not Device.CPU and CUDA in runtime.get_available_providers():
            try:
                session = runtime.InferenceSession(graph, settings, providers=[CUDA, CPU])
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

    def run(self, **inputs: Floats) -> list[Floats]:
        """All outputs."""
        given: Mapping[str, Floats] = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        return list(self._session.run(None, dict(given)))


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
