"""What is counted and timed, for Prometheus. One object per process, handed to whatever has something to
say.

A service is one process. A worker is several (pool, housekeeping): there every process writes its numbers
into files of a shared folder, and whoever is asked adds them up (``folder``). Compute children write
nothing: what they took is told to their parent with the answer.

Labels take few values, all of them from the code: codes, states, stages, routes as patterns. Never an id of a
subject, key or operation, and no score: with enough of them a score tells more than a decision.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon_service import __version__
from recon_service.application.notifying.webhooks import Round
from recon_service.application.records.operations import EnrollmentOutcome, Operation
from recon_service.domain.quality import Verdict
from recon_service.domain.template import Decision
from recon_service.telemetry.names import (
    ATTEMPTS,
    BUILD,
    CHILDREN,
    DELIVERIES,
    ENROLLMENT_SECONDS,
    ENROLLMENTS,
    IDENTIFICATIONS,
    NAMES,
    PRESENTATIONS,
    PROBLEMS,
    REFERENCES,
    REQUEST_SECONDS,
    REQUESTS,
    SELFIES,
    STAGE_SECONDS,
    SWEPT,
    VERIFICATION_REASONS,
    VERIFICATIONS,
    VERSIONS,
    Name,
)

if TYPE_CHECKING:
    from recon_service.application.records.references import SearchResult
    from recon_service.application.records.visits import VerificationOutcome
    from recon_service.domain.presentation import PresentationResult

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MAX_CODES: Final = 200
"""More values of one label than the code can have: something is wrong, and the rest is counted as other."""


class Metrics:
    """See the module. Thread-safe."""

    def __init__(self, *, folder: Path | None = None) -> None:
        """folder: of a worker's processes together; None: this process alone."""
        if folder is None:
            os.environ.pop(FOLDER, None)
        else:
            os.environ[FOLDER] = str(folder)
        # Where the numbers live is decided when this package is first imported.
        import prometheus_client

        self.folder = folder
        self.registry = prometheus_client.CollectorRegistry()
        self._made: dict[str, Any] = {}
        for name in NAMES:
            if not name.kept_elsewhere:
                self._made[name.name] = self._make(name, prometheus_client)
        self._values: dict[tuple[str, str], set[str]] = {}
        self._in_force: dict[str, dict[str, str]] = {}
        for name in NAMES:
            for values in name.first:
                self._of(name, **dict(zip(name.labels, values, strict=True)))
        self._of(BUILD, version=__version__).set(1)

    def request(self, *, method: str, route: str, status: int, seconds: float | None) -> None:
        """One request to the API. route: the pattern. seconds: None for a stream."""
        known = method if method in _METHODS else "other"
        self._of(REQUESTS, method=known, route=route, status=str(status)).inc()
        if seconds is not None:
            self._of(REQUEST_SECONDS, method=known, route=route).observe(seconds)

    def problem(self, code: str) -> None:
        """A request that was refused or failed."""
        self._of(PROBLEMS, code=code).inc()

    def stage(self, work: str, stage: str, seconds: float) -> None:
        """How long one stage of an enrollment or verification took."""
        self._of(STAGE_SECONDS, work=work, stage=stage).observe(seconds)

    def enrollment_ended(self, operation: Operation) -> None:
        """An operation has its end. Counted by the process that brought it there."""
        lane, state = operation.lane.value, operation.state.value
        code = operation.problem.code if operation.problem else ""
        self._of(ENROLLMENTS, lane=lane, state=state, reason=code).inc()
        if operation.ended_at is not None:
            waited = (operation.ended_at - operation.created_at).total_seconds()
            self._of(ENROLLMENT_SECONDS, lane=lane).observe(max(0.0, waited))

    def attempt(self, outcome: str) -> None:
        """One attempt at an enrollment: done, nothing-to-do, or the code of its fault."""
        self._of(ATTEMPTS, outcome=outcome).inc()

    def selfies_seen(self, outcome: EnrollmentOutcome) -> None:
        """What became of each selfie, and for which reasons."""
        for selfie in outcome.selfies:
            reasons = [selfie.problem.code] if selfie.problem else []
            if selfie.quality is not None:
                reasons += [m.name for m in selfie.quality.measures if m.verdict is Verdict.REJECTED]
            for reason in reasons or [""]:
                verdict = "accepted" if selfie.accepted else "rejected"
                self._of(SELFIES, verdict=verdict, reason="" if selfie.accepted else reason).inc()

    def verified(self, outcome: VerificationOutcome) -> None:
        """A decision and its reasons."""
        result = outcome.result
        decision = result.decision.value
        self._of(VERIFICATIONS, decision=decision, policy=result.policy).inc()
        for code, _hint in result.reasons:
            self._of(VERIFICATION_REASONS, decision=decision, reason=code).inc()

    def identified(self, decision: str, policy: str) -> None:
        """A search among all who are enrolled has its end."""
        self._of(IDENTIFICATIONS, decision=decision, policy=policy).inc()

    def searched(self, found: SearchResult) -> None:
        """How many references a search looked at, and how many it could not."""
        for state, count in (
            ("searched", found.searched),
            ("not-comparable", found.not_comparable),
            ("unreadable", found.unreadable),
        ):
            self._of(REFERENCES, state=state).set(count)

    def presented(self, work: str, checked: PresentationResult | None) -> None:
        """What the check of a visit for artefacts said."""
        if checked is None or checked.bona_fide is None:
            said = "not-checked"
        else:
            said = "attack" if checked.attack else "bona-fide"
        self._of(PRESENTATIONS, work=work, outcome=said).inc()

    def child(self, work: str, event: str) -> None:
        """A compute process: started, died, or time-limit."""
        self._of(CHILDREN, work=work, event=event).inc()

    def versions(self, work: str, versions: Mapping[str, str]) -> None:
        """What the compute processes run: model, calibration, policy, detector."""
        labels = {label: versions.get(label, "")[:100] for label in VERSIONS.labels} | {"work": work}
        before = self._in_force.get(work)
        if before is not None and before != labels:
            self._made[VERSIONS.name].labels(**before).set(0)
        self._in_force[work] = labels
        if work == "verification":
            for decision in Decision:  # there from the start, as ``names`` says of others
                self._of(VERIFICATIONS, decision=decision.value, policy=labels["policy"])
        self._made[VERSIONS.name].labels(**labels).set(1)

    def swept(self, what: str, count: int) -> None:
        """What the sweeper found."""
        if count:
            self._of(SWEPT, what=what).inc(count)

    def delivered(self, round_: Round) -> None:
        """One round of webhook deliveries."""
        for outcome, count in (
            ("delivered", round_.delivered),
            ("failed", round_.failed),
            ("dead", round_.dead),
        ):
            if count:
                self._of(DELIVERIES, outcome=outcome).inc(count)

    def text(self, more: Sequence[Any] = ()) -> bytes:
        """Everything, as Prometheus reads it. more: collectors of what is not kept here."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if self.folder is None:
            asked = CollectorRegistry()
            asked.register(_Whole(self.registry))
        else:
            forget_the_dead(self.folder)
            asked = CollectorRegistry()
            MultiProcessCollector(asked, path=str(self.folder))
        for collector in more:
            asked.register(collector)
        return generate_latest(asked)

    def _make(self, name: Name, client: Any) -> Any:
        options: dict[str, Any] = {"registry": self.registry}
        if name.kind == "histogram":
            options["buckets"] = name.buckets
        if name.kind == "gauge" and self.folder is not None:
            options["multiprocess_mode"] = "livemax"
        kind = {"counter": client.Counter, "gauge": client.Gauge, "histogram": client.Histogram}[name.kind]
        return kind(name.name, name.help, name.labels, **options)

    def _of(self, name: Name, **labels: str) -> Any:
        bounded = {label: self._bounded(name, label, value) for label, value in labels.items()}
        return self._made[name.name].labels(**bounded)

    def _bounded(self, name: Name, label: str, value: str) -> str:
        seen = self._values.setdefault((name.name, label), set())
        if value not in seen and len(seen) >= _MAX_CODES:
            return "other"
        seen.add(value)
        return value[:100]


class _Whole:
    """A registry as a collector of another."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def collect(self) -> Any:
        return self._registry.collect()

    def describe(self) -> Any:
        return []


def forget_the_dead(folder: Path) -> None:
    """Gauges of processes that are gone are no longer true; their counters still are."""
    from prometheus_client.multiprocess import mark_process_dead

    for file in folder.glob("gauge_live*_*.db"):
        pid = file.stem.rsplit("_", 1)[-1]
        if pid.isdigit() and not _lives(int(pid)):
            mark_process_dead(int(pid), path=str(folder))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
