"""One compute process, from the side of its parent: started, called, watched and ended.

Parent to child: settings, then ``(method, arguments, wants_progress, log_fields, limit_s)``. Child to parent:
``("ready", versions)``, then per call any number of ``("progress", (stage, share))`` and one of ``("value",
…)``, ``("error", …)``, ``("crash", …)``, ``("memory", None)``. Both ends are the same installation on the
same machine and share a socket that no one else has. The child trusts its parent; the parent takes nothing
from the child but values (``answers.py``).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import structlog

from recon_service.application import errors as application_errors
from recon_service.application.errors import ComputeFault, TimeLimitReached
from recon_service.application.ports.compute import Progress
from recon_service.domain import errors as domain_errors
from recon_service.domain.errors import ReconError
from recon_service.settings import Settings
from recon_service.telemetry.context import carried
from worker.answers import BadAnswer, receive
from worker.child_environment import without_secrets
from worker.child_memory import MemoryWatch, too_much_memory
from worker.child_output import ChildOutput
from worker.child_waiting import Waiting

START_LIMIT_S = 120.0
STALL_S = 10
"""A child that stops in the middle of an answer is taken for dead."""
_ERRORS: Mapping[str, type[ReconError]] = {
    name: kind
    for module in (domain_errors, application_errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, ReconError)
}
"""Those that a child may name."""


class ChildDied(Exception):
    """The child is gone without an answer."""


class Child:
    """One child process. Not for several threads at once."""

    def __init__(self, settings: Settings, *, nice: int = 0) -> None:
        """Returns at once; the pipeline loads while nobody waits. nice: see ``stand_back``."""
        ours, theirs = socket.socketpair()
        # Whatever default timeout a library has set for sockets: it would make both ends non-blocking.
        ours.setblocking(True)
        theirs.setblocking(True)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", STALL_S, 0))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.child", str(theirs.fileno()), str(nice)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=without_secrets(os.environ),
                start_new_session=nice > 0,
            )
        assert self._process.stderr is not None
        self._output = ChildOutput(self._process.stderr)
        self._connection = Connection(ours.detach())
        self._memory_mb = settings.child_memory_mb if settings.matching_device == "cpu" else 0
        self._watch = MemoryWatch(self.pid, 0)
        self._ready = False
        self.versions: Mapping[str, str] = {}
        """What it computes with, once it is ready."""
        self.between_calls = True
        """False: an answer is still to come, which must not be taken for that of another call."""
        with contextlib.suppress(OSError):  # died already: the first call will tell
            self._connection.send(settings)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def wait_until_ready(self, limit_s: float = START_LIMIT_S) -> None:
        """Raises WeightsUnavailable and the like, ChildDied, TimeLimitReached."""
        if not self._ready:
            self.versions = self._receive(time.monotonic() + limit_s, None) or {}
            self._ready = True
            self._output.trusted = False
            self._watch = MemoryWatch(self.pid, self._memory_mb)

    def call(
        self, method: str, arguments: tuple[Any, ...], *, limit_s: float, progress: Progress | None
    ) -> Any:
        """The value of ``compute.method(*arguments)``. The time limit counts from when the child is ready.

        Raises what the work raises, ChildDied, TimeLimitReached, MemoryLimitReached, KeptWaiting.
        """
        self.wait_until_ready()
        self.between_calls = False
        try:
            self._connection.send((method, arguments, progress is not None, carried(), limit_s))
        except OSError:
            raise ChildDied from None
        waiting = Waiting(self.pid, limit_s)
        try:
            return self._receive(time.monotonic() + limit_s, progress)
        except TimeLimitReached:
            waiting.refuse_if_long()
            raise

    def stop(self) -> None:
        """Kill it: it holds nothing that could be lost."""
        self._process.kill()
        self._process.wait()
        self._connection.close()
        self._output.close()

    def _death(self) -> Exception:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        if self._process.returncode == -signal.SIGXCPU:
            return TimeLimitReached(
                "the work was stopped at its limit of processor time",
                next_step="Send smaller pictures or fewer frames, or try again later.",
            )
        return ChildDied()

    def _receive(self, deadline: float, progress: Progress | None) -> Any:
        while True:
            try:
                if not self._watch.wait(self._connection, deadline):
                    raise TimeLimitReached(
                        "the work was stopped at its time limit",
                        next_step="Send smaller pictures or fewer frames, or try again later.",
                    )
                kind, content = receive(self._connection)
            except (EOFError, OSError):
                raise self._death() from None
            except (BadAnswer, TypeError, ValueError) as nonsense:
                structlog.get_logger().error("a compute process answers nonsense", why=str(nonsense)[:40])
                raise ChildDied from None
            if kind == "progress":
                if progress is not None:
                    progress(*content)
                continue
            self.between_calls = True
            if kind == "error":
                raise rebuilt(*content)
            if kind == "memory":
                self.between_calls = False  # what is left of its memory is in pieces
                raise too_much_memory()
            if kind == "crash":
                raise ComputeFault(
                    f"the computation failed ({content})", next_step="Report it with the request id."
                )
            if kind in ("value", "ready"):
                return content


def rebuilt(base: str, code: str, title: str, detail: str, next_step: str) -> ReconError:
    """What ``child.described`` made of an error. Raises KeyError for none of ours."""
    kind = _ERRORS[base]
    if kind.code == code:
        return kind(detail, next_step=next_step)
    made = type(kind.__name__, (kind,), {"code": code, "title": title, "__doc__": title})
    return made(detail, next_step=next_step)
