"""Networks in the format of ONNX, opened by ONNX Runtime: on a GPU where one can be used, else on the CPU."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Any, Final

CUDA_PROVIDER: Final = "CUDAExecutionProvider"
CPU_PROVIDER: Final = "CPUExecutionProvider"
log = logging.getLogger(__name__)


class Device(StrEnum):
    """Where a network runs. AUTO: on a GPU where there is one that the installed packages can use."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def opened(
    graph: bytes | str, device: Device = Device.AUTO, *, name: str, threads: int = 1, tf32: bool = True
) -> tuple[Any, Device]:
    """The session, and where it runs: on the CPU where it was asked for a GPU and cannot have it.

    graph: content of a file, or its path. name: for the log. threads: of one run on the CPU; the service
    spreads over processes instead. tf32: whether a GPU may round to ten bits. Raises ImportError where ONNX
    Runtime is not installed, and what ONNX Runtime raises for a graph that it cannot run: its own exception
    types are many, and differ between versions.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 4  # what fails is raised; the rest is advice about graphs
    session: Any = None
    if device is not Device.CPU and CUDA_PROVIDER in onnxruntime.get_available_providers():
        cuda = (CUDA_PROVIDER, {} if tf32 else {"use_tf32": "0"})
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=[cuda, CPU_PROVIDER])
        except Exception as fault:
            log.warning("no CUDA session for %s: %s", name, type(fault).__name__)
    session = session or onnxruntime.InferenceSession(graph, options, providers=[CPU_PROVIDER])
    # A session that was asked for CUDA comes up without it where CUDA's libraries are missing.
    on_gpu = session.get_providers()[0] == CUDA_PROVIDER
    return session, Device.CUDA if on_gpu else Device.CPU
