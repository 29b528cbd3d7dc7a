"""Every alert fires when what it is for happens, from the first minute of a service on, and none does on a
calm day: the rules are evaluated over what the real counters say in the course of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from recon_service.application.records.references import SearchResult
from recon_service.domain.presentation import PresentationMeasure, PresentationResult
from recon_service.telemetry.metrics import Metrics
from recon_service.telemetry.names import ENROLLMENT_SECONDS, NAMES, VERIFICATIONS
from tests.promql import Series, holds

ROOT = Path(__file__).parents[2]
STEP_S = 30
HOUR_S = 3600
VERSIONS = {"model": "m", "calibration": "c@1", "policy": "pilot-1", "detector": "d"}
ATTACK = PresentationResult((PresentationMeasure("relief", 1.0, "mm", 4.0, 0.0, "flat"),))
GENUINE = PresentationResult((PresentationMeasure("relief", 9.0, "mm", 4.0, 1.0, ""),))
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for rule in yaml.safe_load((ROOT / "deploy/prometheus/recon-rules.yml").read_text())["groups"][0]["rules"]
}
KEPT_ELSEWHERE = {name.name for name in NAMES if name.kept_elsewhere}
Gauge = tuple[str, tuple[tuple[str, str], ...]]


def gauge(name: str, **labels: str) -> Gauge:
    assert name in KEPT_ELSEWHERE
    return name, tuple(sorted(labels.items()))


class Watched:
    """A service and a worker, whose numbers are scraped while time passes."""

    def __init__(self) -> None:
        self.series, self.now = Series(), 0.0
        self.processes = {"recon-api": Metrics(), "recon-worker": Metrics()}
        self.up = {"recon-api": 1.0, "recon-worker": 1.0}
        self.gauges: dict[Gauge, float] = {
            gauge("recon_database_up"): 1,
            gauge("recon_resident_bytes", part="head"): 2e8,
        }
        for metrics in self.processes.values():
            metrics.versions("verification", VERSIONS)

    @property
    def api(self) -> Metrics:
        return self.processes["recon-api"]

    @property
    def worker(self) -> Metrics:
        return self.processes["recon-worker"]

    def passes(self, seconds: float, doing: Callable[[], None] = lambda: None, *, step: int = STEP_S) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += step
            doing()
            self._scrape()

    def fires(self, name: str, *, within: float) -> bool:
        """At any moment of so many seconds up to now."""
        number, unit = re.fullmatch(r"(\d+)([mh])", ALERTS[name]["for"]).groups()  # type: ignore[union-attr]
        needed = int(number) * {"m": 60, "h": HOUR_S}[unit]
        since: int | None = None
        for at in range(max(STEP_S, int(self.now - within)), int(self.now) + 1, STEP_S):
            if not holds(ALERTS[name]["expr"], self.series, at=at):
                since = None
                continue
            since = at if since is None else since
            if at - since >= needed:
                return True
        return False

    def _scrape(self) -> None:
        for name, up in self.up.items():
            where = {"job": name.partition("#")[0], "instance": f"{name}:9464"}
            self.series.add("up", where, self.now, up)
            if not up:
                continue
            for family in self.processes[name].registry.collect():
                for sample in family.samples:
                    self.series.add(sample.name, {**sample.labels, **where}, self.now, sample.value)
            for (metric, labels), value in self.gauges.items():
                self.series.add(metric, {**dict(labels), **where}, self.now, value)


def decided(metrics: Metrics, decision: str) -> None:
    metrics._of(VERIFICATIONS, decision=decision, policy="pilot-1").inc()
    metrics.presented("verification", GENUINE)
    metrics.stage("verification", "total", 0.1)


def asked(metrics: Metrics, status: int, *, route: str = "/v1/verifications", times: int = 1) -> None:
    for _ in range(times):
        metrics.request(method="POST", route=route, status=status, seconds=0.1)


def once(event: Callable[[], None]) -> Callable[[], None]:
    """In the first step alone."""
    left = [event]
    return lambda: left.pop()() if left else None


def a_calm_day(watched: Watched) -> None:
    def people_come() -> None:
        for decision in ("MATCH", "MATCH", "NO_MATCH"):
            decided(watched.api, decision)
            asked(watched.api, 200)
        watched.worker.attempt("done")
        watched.worker._of(ENROLLMENT_SECONDS, lane="interactive").observe(2.0)

    for lane in ("interactive", "batch"):
        watched.gauges |= {
            gauge("recon_queue_oldest_seconds", lane=lane): 1,
            gauge("recon_queue_waiting", lane=lane): 2,
            gauge("recon_queue_unpublished", lane=lane): 0,
        }
    watched.gauges |= {gauge("recon_dead_operations"): 0, gauge("recon_webhooks_dead"): 0}
    for event in ("started", "died"):
        watched.worker.child("enrollment", event)
    watched.api.searched(SearchResult((), 100, 3))
    watched.passes(2 * HOUR_S, people_come, step=120)
    watched.now += 22 * HOUR_S
    watched.passes(2 * HOUR_S, people_come, step=60)
    watched.passes(HOUR_S / 2, people_come)


def a_slow_start_in_a_quiet_night(watched: Watched) -> None:
    """The index of references loads for two minutes, and `/readyz` says so to whoever looks after it."""
    begun = watched.now

    def probed() -> None:
        asked(watched.api, 503 if watched.now - begun < 120 else 200, route="/readyz", times=2)

    watched.passes(10 * 60, probed)


def a_single_fault_in_a_quiet_night(watched: Watched) -> None:
    watched.passes(10 * 60, once(lambda: asked(watched.api, 500)))


@pytest.mark.parametrize(
    "day",
    [a_calm_day, a_slow_start_in_a_quiet_night, a_single_fault_in_a_quiet_night],
    ids=lambda d: d.__name__,
)
def test_nobody_is_woken_for_nothing(day: Callable[[Watched], None]) -> None:
    watched = Watched()
    day(watched)
    assert [name for name in ALERTS if watched.fires(name, within=HOUR_S / 2)] == []


def stands_at(value: float, name: str, minutes: int, **labels: str) -> Callable[[Watched], None]:
    def trouble(watched: Watched) -> None:
        watched.gauges[gauge(name, **labels)] = value
        watched.passes(60 * minutes)

    return trouble


def down(job: str, minutes: int, *, gone: bool) -> Callable[[Watched], None]:
    def trouble(watched: Watched) -> None:
        watched.passes(60)
        if gone:
            del watched.up[job]
        else:
            watched.up[job] = 0.0
        watched.passes(60 * (minutes + 6))

    return trouble


def goes_on(minutes: int, happening: Callable[[Watched], None]) -> Callable[[Watched], None]:
    return lambda watched: watched.passes(60 * minutes, lambda: happening(watched))


def at_once(happening: Callable[[Watched], None]) -> Callable[[Watched], None]:
    """Between two scrapes, soon after the start."""

    def trouble(watched: Watched) -> None:
        watched.passes(60)
        watched.passes(60, once(lambda: happening(watched)))

    return trouble


def times(count: int, call: Callable[..., None], *arguments: object) -> None:
    for _ in range(count):
        call(*arguments)


def one_in_ten_fails(watched: Watched) -> None:
    asked(watched.api, 200, times=9)
    asked(watched.api, 503)


def nothing_moves(watched: Watched) -> None:
    """Workers that were just started, and never take anything."""
    watched.gauges[gauge("recon_queue_waiting", lane="interactive")] = 3
    watched.passes(25 * 60)


def nothing_moves_and_there_is_no_worker(watched: Watched) -> None:
    del watched.up["recon-worker"]
    nothing_moves(watched)


def one_of_two_workers_is_gone(watched: Watched) -> None:
    watched.processes["recon-worker#2"] = Metrics()
    watched.up["recon-worker#2"] = 1.0
    watched.passes(HOUR_S)
    del watched.up["recon-worker"]
    watched.passes(20 * 60)


def matches_fell(watched: Watched) -> None:
    """To nothing, with processes that have never matched anybody."""
    watched.passes(2 * HOUR_S, lambda: decided(watched.api, "MATCH"), step=120)
    watched.now += 22 * HOUR_S
    watched.processes["recon-api"] = Metrics()
    watched.passes(2 * HOUR_S, lambda: decided(watched.api, "NO_MATCH"), step=60)


def versions_differ(watched: Watched) -> None:
    watched.worker.versions("enrollment", {**VERSIONS, "calibration": "c@2"})
    watched.passes(35 * 60)


def slow_enrollments(watched: Watched) -> None:
    watched.worker._of(ENROLLMENT_SECONDS, lane="interactive").observe(50.0)


def unreadable(watched: Watched) -> None:
    watched.api.searched(SearchResult((), 9, unreadable=1))
    watched.passes(15 * 60)


TROUBLE: list[tuple[str, Callable[[Watched], None]]] = [
    ("ReconApiDown", down("recon-api", 2, gone=False)),
    ("ReconWorkerDown", down("recon-worker", 5, gone=False)),
    ("ReconWorkerDown", down("recon-worker", 5, gone=True)),
    ("ReconWorkersFewer", one_of_two_workers_is_gone),
    ("ReconDatabaseDown", stands_at(0, "recon_database_up", 3)),
    ("ReconQueueWaits", stands_at(90, "recon_queue_oldest_seconds", 5, lane="interactive")),
    ("ReconBatchWaits", stands_at(30_000, "recon_queue_oldest_seconds", 35, lane="batch")),
    ("ReconNothingMoves", nothing_moves),
    ("ReconNothingMoves", nothing_moves_and_there_is_no_worker),
    ("ReconBrokerAway", stands_at(1, "recon_queue_unpublished", 7, lane="batch")),
    ("ReconPutOff", goes_on(20, lambda w: w.worker.attempt("weights-missing"))),
    ("ReconPutOff", goes_on(20, lambda w: w.worker.attempt("storage-unavailable"))),
    ("ReconGivenUp", stands_at(1, "recon_dead_operations", 1)),
    ("ReconFaults", goes_on(10, one_in_ten_fails)),
    ("ReconVerificationSlow", goes_on(15, lambda w: w.api.stage("verification", "total", 2.0))),
    ("ReconVerificationSlow", goes_on(15, lambda w: w.api.stage("identification", "total", 2.0))),
    ("ReconEnrollmentSlow", goes_on(25, slow_enrollments)),
    (
        "ReconComputeDies",
        at_once(lambda w: times(4, w.worker.child, "enrollment", "died")),
    ),
    (
        "ReconPresentationAttacks",
        at_once(lambda w: times(11, w.api.presented, "identification", ATTACK)),
    ),
    ("ReconMatchesFell", matches_fell),
    ("ReconLockedOut", stands_at(1, "recon_locked_out", 12, kind="api-key")),
    ("ReconLockedOut", stands_at(1, "recon_locked_out", 12, kind="identification")),
    ("ReconLockedOut", stands_at(21, "recon_locked_out", 12, kind="subject")),
    (
        "ReconKeysRefused",
        goes_on(25, lambda w: times(60, w.api.problem, "unauthenticated")),
    ),
    ("ReconVersionsDiffer", versions_differ),
    ("ReconReferencesUnreadable", unreadable),
    ("ReconWorkersFallSilent", at_once(lambda w: w.worker.swept("requeued", 6))),
    ("ReconMemory", stands_at(9e9, "recon_resident_bytes", 20, part="below")),
    ("ReconWebhooksWait", stands_at(4000, "recon_webhooks_oldest_seconds", 12)),
    ("ReconWebhooksDead", stands_at(1, "recon_webhooks_dead", 1)),
]


def test_every_alert_has_its_trouble() -> None:
    assert {name for name, _ in TROUBLE} == set(ALERTS)


@pytest.mark.parametrize(("name", "trouble"), TROUBLE, ids=[name for name, _ in TROUBLE])
def test_an_alert_fires_when_it_should(name: str, trouble: Callable[[Watched], None]) -> None:
    watched = Watched()
    trouble(watched)
    assert watched.fires(name, within=HOUR_S)
