"""Child processes that do the heavy work beside the service: killable, replaceable, each with the pipeline
loaded.

Why not a pool of the standard library: it cannot stop a call that takes too long, and one dead child
breaks the whole pool. Here a call has a time limit, after which its child is killed and replaced; a call
whose child died is repeated once on another. Where no child starts, or the machine does not let it compute,
that says nothing about the work: the service is overloaded (docs/adr/0179).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from recon_service.application.errors import ComputeFault, MemoryLimitReached, Overloaded, TimeLimitReached
from recon_service.application.ports.compute import Progress
from recon_service.application.records.identifications import ObservedVisit
from recon_service.application.records.inspections import Inspection
from recon_service.application.records.operations import LANDMARKS_ALONE, EnrollmentOutcome, SelfieReport
from recon_service.application.records.probes import RecentProbe
from recon_service.application.records.versions import VersionsCompared
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.domain.errors import ReconError
from recon_service.domain.template import Template
from recon_service.settings import Settings
from worker.child_environment import hide_from_children
from worker.child_process import START_LIMIT_S, Child, ChildDied
from worker.child_waiting import KeptWaiting

FAULT_MEMORY_S = 10.0


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
        begun = False
        for attempt in (1, 2):
            child = self._take(self._limit_s)
            successor: Child | None = None
            try:
                if not self._started(child):
                    continue
                begun = True
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
            except KeptWaiting:
                self._happened("time-limit")
                structlog.get_logger().warning("compute process was kept waiting", method=method)
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
        if not begun:
            raise Overloaded("no compute process starts", next_step="Look at the log, and at the memory.")
        raise ComputeFault(
            "the process that did the work died twice", next_step="Try again later; other input may do."
        )

    def _started(self, child: Child) -> bool:
        """False: it died. Raises Overloaded, and what keeps every child from serving."""
        try:
            self._await(child)
        except ChildDied:
            self._happened("died")
            structlog.get_logger().warning("compute process died at its start")
            return False
        except TimeLimitReached:
            self._happened("time-limit")
            structlog.get_logger().warning("compute process does not start", limit_s=START_LIMIT_S)
            raise Overloaded(
                "no compute process has started in time", next_step="Try again in a few seconds."
            ) from None
        return True

    def _await(self, child: Child, limit_s: float | None = None) -> None:
        if not child.versions:
            child.wait_until_ready(START_LIMIT_S if limit_s is None else limit_s)
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
