"""What a compute process may use, set by itself before it sees anything of a caller. A decoder that goes
wrong in native code runs under these limits too.

- Memory beyond what the loaded models take: the parent watches what is resident and ends the process above
  the limit. What is reserved has a limit of the operating system half as high again, against single
  allocations that are faster than the watch: they fail.
- CPU seconds per call: the parent stops a call at its wall time; this stops a call whose parent is gone.
- No file grows: nothing can be written to a disk. No core dump, which would hold what callers sent.
- No network where the system lets a process give it up (Linux; containers often do not).

Limits are those of the operating system; where it has none of a kind (macOS), the others still hold.
"""

from __future__ import annotations

import ctypes
import math
import os
import re
import resource
import sys
from pathlib import Path
from typing import Final

MAX_OPEN_FILES: Final = 256
SPARE_CPU_S: Final = 10.0
RESERVED_BYTES: Final = 512_000_000
_CLONE_NEWNET: Final = 0x40000000
_CLONE_NEWUSER: Final = 0x10000000
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38


def limit_at_start() -> bool:
    """Before anything is loaded, in the only thread: no core dump, no more rights, few files, no network.

    Returns whether the network is gone.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    cut = _without_network(libc)
    # Last: a process that cannot be dumped may not write its own /proc files either.
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return cut


def limit_when_loaded(memory_mb: int) -> None:
    """When the models are loaded: no file grows, and no more memory can be reserved beyond what is taken now
    than half as much again as ``memory_mb`` and what threads of libraries reserve; 0: any.
    """
    _lower(resource.RLIMIT_FSIZE, 0)
    if memory_mb:
        _lower(resource.RLIMIT_DATA, _private_bytes() + RESERVED_BYTES + memory_mb * 1_500_000)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in use; 0 where the system does not tell, or there is no such process."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:  # noqa: PTH123 - some hundred times a minute
            return int(file.read(128).split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


def limit_call(seconds: float) -> None:
    """CPU time of the call that begins now, over all threads: so much that the wall time ends it first."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = used.ru_utime + used.ru_stime + SPARE_CPU_S + seconds * (os.cpu_count() or 1)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(allowed)
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def out_of_memory(fault: BaseException) -> bool:
    """Whether an exception of Python or of a native library says that there was no memory to be had."""
    if isinstance(fault, MemoryError):
        return True
    # OpenCV has a code for it; ONNX Runtime and others pass on the text of C++.
    text = str(fault)[:500]
    return getattr(fault, "code", None) == -4 or "bad_alloc" in text or "Failed to allocate memory" in text


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _private_bytes() -> int:
    """What RLIMIT_DATA counts. Where /proc is missing: the most memory that was ever resident."""
    try:
        found = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        found = None
    if found is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return int(found[1]) * 1024


def _without_network(libc: ctypes.CDLL) -> bool:
    """An empty network of its own: for root, or, as an ordinary user, within a user namespace of its own in
    which the process keeps its user and group.
    """
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    user, group = os.geteuid(), os.getegid()
    if user == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    for name, text in (
        ("setgroups", "deny"),
        ("gid_map", f"{group} {group} 1"),
        ("uid_map", f"{user} {user} 1"),
    ):
        try:
            Path(f"/proc/self/{name}").write_text(text)
        except OSError:
            break  # it is nobody then, and still may do what it has to
    return True
