"""One embedded service per state folder: a second one would take the first one's running work for
abandoned.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recon_service.domain.errors import Conflict


class StateLock:
    """Held from ``acquire`` until ``release`` or the end of the process, however it ends."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises Conflict when another process holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Conflict(
                f"another service runs on the state folder {self._path.parent}",
                next_step="Stop it, or choose another folder with RECON_STATE_DIR.",
            ) from None
        self._descriptor = descriptor

    @contextmanager
    def held(self) -> Iterator[None]:
        """For a while. Raises Conflict."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
