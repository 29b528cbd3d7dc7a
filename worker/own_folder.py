"""Temporary folders that a worker's processes share and that go when the last of them is gone: at its end,
or, if it was killed, when the next worker of this machine starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path


class OwnFolder:
    """Closed to other users. A lock on the folder itself, which processes forked from this one hold too,
    tells those that are in use from those that were left behind: it ends with its holders, however they
    end.
    """

    def __init__(self, prefix: str) -> None:
        """Makes it, and removes what others left behind under this prefix."""
        root = Path(tempfile.gettempdir())
        _remove_abandoned(root, prefix)
        self._lock: int | None = None
        while self._lock is None:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
            # Another worker that starts at this moment may have taken it for abandoned: then once more.
            self._lock = _locked(self.path, wait=True)

    def remove(self) -> None:
        """At the end."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None


def _remove_abandoned(root: Path, prefix: str) -> None:
    for path in root.glob(f"{prefix}*"):
        lock = _locked(path, wait=False)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _locked(path: Path, *, wait: bool) -> int | None:
    """A descriptor that holds the lock; None for what is in use, gone, not ours, or no folder."""
    try:
        # What others put into a folder that everybody writes to is not followed.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        about = os.fstat(descriptor)
        if about.st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(about, path.lstat()):
                return descriptor
    os.close(descriptor)
    return None
