"""How a compute process stands back for those that people wait for.

Linux shares a processor between sessions first and by niceness within a session only (``autogroup`` in
sched(7); on in Debian, Ubuntu and most others): a worker that was started by a supervisor or in another
terminal would take as much as the API beside it, however nice. So a process that stands back has a session
of its own, and the session is given the niceness too. Between containers and units of systemd neither
counts, but their weights do (docs/operations.md).
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path
from typing import Final

AUTOGROUP: Final = Path("/proc/self/autogroup")
_TRIES: Final = 20
_PAUSE_S: Final = 0.12  # the system takes one such change in a tenth of a second, of all processes together


def stand_back(niceness: int) -> None:
    """This process and its threads to come, whose session is its own. niceness: 1 to 19; 0: it does not.

    To be called before the process gives up what lets it write to its own files in /proc. Where the system
    knows no such thing, or its supervisor made it stand back further already, it stays as it is.
    """
    if niceness == 0:
        return
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    if os.getsid(0) != os.getpid():
        return  # others share its session
    for _ in range(_TRIES):
        try:
            AUTOGROUP.write_text(str(niceness))
            return
        except OSError as fault:
            if fault.errno != errno.EAGAIN:
                return
        time.sleep(_PAUSE_S)
