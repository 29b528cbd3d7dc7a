"""Child processes that do the heavy work beside the service: killable, replaceable, each with the pipeline
loaded.

Why not a pool of the standard library: it cannot stop a call that takes too long, and one dead child
breaks the whole pool. Here a call has a time limit, after which its child is killed and replaced; a call
whose child died is repeated once on another.

Parent to child: settings, then ``(method, arguments, wants_progress, log_fields, limit_s)``. Child to parent:
``("ready", versions)``, then per call any number of ``("progress", (stage, share))`` and one of ``("value",
…)``, ``("error", …)``, ``("crash", …)``, ``("memory", None)``. Both ends are the same installation on the
same machine and share a socket that no one else has. The child trusts its parent; the parent takes nothing
from the child but values (``answers.py``).
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import structlog

from recon_service.application import errors as application_errors
from recon_service.application.errors import ComputeFault, MemoryLimitReached, Overloaded, TimeLimitReached
from recon_service.application.ports.compute import Progress
from recon_service.application.records.identifications import ObservedVisit
from recon_service.application.records.inspections import Inspection
from recon_service.application.records.operations import LANDMARKS_ALONE, EnrollmentOutcome, SelfieReport
from recon_service.application.records.probes import RecentProbe
from recon_service.application.records.versions import VersionsCompared
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.domain import errors as domain_errors
from recon_service.domain.errors import ReconError
from recon_service.domain.template import Template
from recon_service.settings import Settings
from recon_service.telemetry.context import carried
from worker.answers import BadAnswer, receive
from worker.child_environment import hide_from_children, without_secrets
from worker.child_memory import MemoryWatch, too_much_memory
from worker.child_output import ChildOutput

START_LIMIT_S = 120.0
FAULT_MEMORY_S = 10.0
STALL_S = 10
"""A child that stops in the middle of an answer is taken for dead."""


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
        """The value of ``compute.method(*arguments)``. The time limit counts from when the child is ready."""
        self.wait_until_ready()
        self.between_calls = False
        try:
            self._connection.send((method, arguments, progress is not None, carried(), limit_s))
        except OSError:
            raise ChildDied from None
        return self._receive(time.monotonic() + limit_s, progress)

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
                raise _rebuilt(*content)
            if kind == "memory":
                self.between_calls = False  # what is left of its memory is in pieces
                raise too_much_memory()
            if kind == "crash":
                raise ComputeFault(
                    f"the computation failed ({content})", next_step="Report it with the request id."
                )
            if kind in ("value", "ready"):
                return content


class ChildCompute:
    """See ``ports.Compute``: the same calls, each in a child. For any number of threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        processes: int,
        limit_s: float,
        nice: int = 0,
        happened: Callable[[str], None] = lambda event: None,
        versions: Callable[[Mapping[str, str]], None] = lambda versions: None,
    ) -> None:
        """Children start with ``start``, or with the first call. nice: how far they stand back for others on
        a busy machine, 0 to 19. happened: hears "started", "died", "time-limit". versions: hears what a child
        computes with, when it is ready.
        """
        self._nice = nice
        self._happened, self._tell_versions = happened, versions
        # Children see what callers send, so they get no secret, and find none here.
        hide_from_children()
        self._settings = settings.without_secrets()
        self._processes = processes
        self._limit_s = limit_s
        self._idle: queue.LifoQueue[Child | None] = queue.LifoQueue()
        for _ in range(processes):
            self._idle.put(None)
        self._lock = threading.Lock()
        self._living: set[Child] = set()
        self._closed = False
        self._fault: ReconError | None = None
        self._fault_at = 0.0

    def start(self) -> None:
        """Start every child, without waiting for it."""
        slots = [self._idle.get() for _ in range(self._processes)]
        for slot in slots:
            self._idle.put(slot or self._new_child())

    def check(self) -> None:
        """Raises what keeps the children from serving: missing weights, a death, or that they are still
        starting.
        """
        if self._fault is not None and time.monotonic() - self._fault_at < FAULT_MEMORY_S:
            raise self._fault
        try:
            slot = self._idle.get_nowait()
        except queue.Empty:
            return  # all at work
        child, successor = slot or self._new_child(), None
        try:
            self._await(child, limit_s=0.0)
            successor, self._fault = child, None
        except TimeLimitReached:
            successor = child
            raise Overloaded("a compute process is still starting", next_step="Wait a second.") from None
        except ChildDied:
            self._happened("died")
            raise self._remembered(
                ComputeFault("a compute process died", next_step="Look at the log.")
            ) from None
        except ReconError as fault:
            raise self._remembered(fault) from None
        finally:
            if successor is None:
                self._discard(child)
            self._idle.put(successor)

    def _remembered(self, fault: ReconError) -> ReconError:
        # A probe every second must not start a process every second.
        self._fault, self._fault_at = fault, time.monotonic()
        return fault

    def close(self) -> None:
        """Kill all children; calls that are under way fail."""
        with self._lock:
            self._closed = True
            living = list(self._living)
            self._living.clear()
        for child in living:
            child.stop()

    @property
    def pids(self) -> list[int]:
        """Process ids of the living children."""
        with self._lock:
            return sorted(child.pid for child in self._living)

    def reconstruct(
        self, selfies: Sequence[bytes], progress: Progress, *, backend: str = LANDMARKS_ALONE
    ) -> EnrollmentOutcome:
        """See ``LocalCompute.reconstruct``."""
        outcome: EnrollmentOutcome = self._call("reconstruct_with", (backend, tuple(selfies)), progress)
        return outcome

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]:
        """See ``LocalCompute.check_quality``."""
        reports: tuple[SelfieReport, ...] = self._call("check_quality", (tuple(selfies),))
        return reports

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
        """See ``LocalCompute.verify``."""
        outcome: VerificationOutcome = self._call("verify", (reference, visit))
        return outcome

    def observe(self, visit: KioskVisit) -> ObservedVisit:
        """See ``LocalCompute.observe``."""
        observed: ObservedVisit = self._call("observe", (visit,))
        return observed

    def inspect(self, template: Template, selfies: Sequence[bytes], visit: KioskVisit | None) -> Inspection:
        """See ``LocalCompute.inspect``."""
        found: Inspection = self._call("inspect", (template, tuple(selfies), visit))
        return found

    def mesh(self, template: Template) -> bytes:
        """See ``LocalCompute.mesh``."""
        content: bytes = self._call("mesh", (template,))
        return content

    def picture(self, template: Template) -> bytes:
        """See ``LocalCompute.picture``."""
        content: bytes = self._call("picture", (template,))
        return content

    def compare_versions(
        self,
        pairs: Sequence[tuple[Template, Template]],
        probes: Sequence[Sequence[RecentProbe]] = (),
    ) -> VersionsCompared:
        """See ``LocalCompute.compare_versions``."""
        compared: VersionsCompared = self._call("compare_versions", (tuple(pairs), tuple(probes)))
        return compared

    def _call(
        self,
        method: str,
        arguments: tuple[Any, ...],
        progress: Progress | None = None,
        *,
        limit_s: float | None = None,
    ) -> Any:
        limit_s = limit_s or self._limit_s
        for attempt in (1, 2):
            child = self._take(self._limit_s)
            successor: Child | None = None
            try:
                self._await(child)
                value = child.call(method, arguments, limit_s=limit_s, progress=progress)
                successor = child
                return value
            except ChildDied:
                self._happened("died")
                structlog.get_logger().warning("compute process died", method=method, attempt=attempt)
            except TimeLimitReached:
                self._happened("time-limit")
                structlog.get_logger().warning("compute time limit", method=method, limit_s=limit_s)
                raise
            except MemoryLimitReached:
                structlog.get_logger().warning("compute memory limit", method=method)
                raise
            except ReconError:
                successor = child if child.between_calls else None
                raise
            finally:
                if successor is None:
                    self._discard(child)
                    successor = self._new_child() if not self._closed else None
                self._idle.put(successor)
        raise ComputeFault(
            "the process that did the work died twice", next_step="Try again later; other input may do."
        )

    def _await(self, child: Child, limit_s: float = START_LIMIT_S) -> None:
        if not child.versions:
            child.wait_until_ready(limit_s)
            if child.versions:
                self._tell_versions(child.versions)

    def _take(self, limit_s: float) -> Child:
        try:
            slot = self._idle.get(timeout=limit_s)
        except queue.Empty:
            raise Overloaded(
                "no compute process was free in time", next_step="Try again in a few seconds."
            ) from None
        return slot or self._new_child()

    def _new_child(self) -> Child:
        child = Child(self._settings, nice=self._nice)
        with self._lock:
            if not self._closed:
                self._living.add(child)
                self._happened("started")
                return child
        child.stop()
        raise Overloaded("the service is shutting down", next_step="Try again in a few seconds.")

    def _discard(self, child: Child) -> None:
        with self._lock:
            self._living.discard(child)
        child.stop()


def _rebuilt(base: str, code: str, title: str, detail: str, next_step: str) -> ReconError:
    kind = _ERRORS[base]
    if kind.code == code:
        return kind(detail, next_step=next_step)
    made = type(kind.__name__, (kind,), {"code": code, "title": title, "__doc__": title})
    return made(detail, next_step=next_step)


_ERRORS: Mapping[str, type[ReconError]] = {
    name: kind
    for module in (domain_errors, application_errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, ReconError)
}
"""Those that a child may name."""
