"""How much memory a process has taken at most, in the machine and on the GPU."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

MIB = 1024 * 1024
POLL_SECONDS = 0.2


def peak_mib() -> float:
    """Of this process since it began, MiB."""
    # Not ru_maxrss on Linux: a new process inherits its parent's.
    value = _status("VmHWM")
    if value is not None:
        return value
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / MIB if sys.platform == "darwin" else used / 1024


def present_mib() -> float:
    """Of this process now, MiB; where the system does not tell, the peak until now."""
    value = _status("VmRSS")
    return value if value is not None else peak_mib()


def _status(name: str) -> float | None:
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    except (OSError, ValueError):
        pass
    return None


class GpuMemory:
    """Watches the first GPU while the block runs. most: MiB above what was taken before; None without a
    GPU.
    """

    def __init__(self) -> None:
        self.most: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> GpuMemory:
        self._before = gpu_mib()
        if self._before is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._look()

    def _look(self) -> None:
        now = gpu_mib() if self._before is not None else None
        if now is not None and self._before is not None:
            self.most = max(self.most or 0.0, now - self._before)


def gpu_mib() -> float | None:
    """Memory in use on the first GPU, MiB, as its driver's own tool tells; None where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
        return float(done.stdout.splitlines()[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
