"""What a compute process inherits of its parent's environment: nothing that could be a secret. Its settings
come over the socket.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from typing import Final

_NAMES: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
    | {"RECON_WEIGHTS_DIR", "RECON_WEIGHTS_MIRROR", "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS"}
)
_PREFIXES: Final = (
    "PYTHON",
    "LC_",
    "XDG_",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "CUDA_",
    "NVIDIA_",
    "TORCH_",
    "DYLD_",
)
_PR_SET_DUMPABLE: Final = 4


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """What is known to be needed; whatever else is there stays with the parent."""
    return {k: v for k, v in environment.items() if k in _NAMES or k.startswith(_PREFIXES)}


def hide_from_children() -> None:
    """Keep this process's memory and environment from others of the same user, its children included, and
    out of core dumps. Linux; root reads them all the same.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
