"""What a compute process writes to its standard error, a pipe to its parent: it may write to no file.

Its own log lines are logged again by the parent, which knows whether a person or a program reads them. What
native libraries write there is counted and dropped: nobody can say what of an upload it repeats. Until the
process is ready it has seen nothing of a caller, and its words tell why it does not start.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import IO, Final

import structlog

MAX_LINE: Final = 65_536


class ChildOutput:
    """Reads until the process is gone. trusted: whether lines that are not log entries are passed on."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.trusted = True
        self._pipe = pipe
        self._thread = threading.Thread(target=self._read, name="recon-child-output", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """After the process ended."""
        self._thread.join(5.0)

    def _read(self) -> None:
        with self._pipe:
            while line := self._pipe.readline(MAX_LINE):
                self._pass_on(line)

    def _pass_on(self, line: bytes) -> None:
        entry = _log_entry(line)
        if entry is not None:
            event, level = str(entry.pop("event", "")), str(entry.pop("level", "info"))
            entry.pop("timestamp", None)
            getattr(structlog.get_logger(), level if level in _LEVELS else "info")(event, **entry)
        elif self.trusted:
            sys.stderr.write(line.decode("utf-8", "replace"))
        else:
            structlog.get_logger().info("a library wrote to standard error", bytes=len(line))


_LEVELS: Final = ("debug", "info", "warning", "error")


def _log_entry(line: bytes) -> dict[str, object] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None
