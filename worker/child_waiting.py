"""Whether a compute process that is late was slow, or was not let compute: of a machine with too much to
do, nothing can be said about the work.
"""

from __future__ import annotations

from typing import Final

from recon_service.application.errors import Overloaded

SHARE: Final = 0.5
"""Of its time limit. Who waited longer for a processor than it computed would have been done elsewhere."""


class KeptWaiting(Overloaded):
    """The process was late because others computed."""


def waited_s(pid: int) -> float:
    """Seconds for which the main thread of a process could have computed and had no processor; 0.0 where the
    system does not tell, or there is no such process.
    """
    try:
        with open(f"/proc/{pid}/schedstat", "rb", buffering=0) as file:  # noqa: PTH123 - beside every call
            return int(file.read(128).split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0


class Waiting:
    """From its making on. limit_s: of the work."""

    def __init__(self, pid: int, limit_s: float) -> None:
        self._pid, self._limit_s = pid, limit_s
        self._before = waited_s(pid)

    def refuse_if_long(self) -> None:
        """When the limit is reached. Raises KeptWaiting."""
        if waited_s(self._pid) - self._before > SHARE * self._limit_s:
            raise KeptWaiting(
                "the machine had too much to do to compute in time", next_step="Try again in a few seconds."
            )
