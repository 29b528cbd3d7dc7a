"""What the database says when somebody asks: queue, dead letters, webhooks, lock-outs. The same from every
process; take the maximum over instances, not the sum.

A database that stalls is one that does not answer: whoever asks waits no longer than ``PATIENCE_S``, and is
told so, with all other numbers. At most one thread hangs on it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recon_service.application.enrolling.operations import MAX_LISTED, list_dead, queue_states
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import FailureKind
from recon_service.application.records.operations import QueueState
from recon_service.application.records.webhooks import WebhookState
from recon_service.application.verifying.lockouts import locked_out
from recon_service.domain.errors import StorageFault
from recon_service.telemetry.memory import resident_bytes
from recon_service.telemetry.names import (
    DATABASE_UP,
    DEAD,
    LOCKED_OUT,
    MEMORY,
    QUEUE_AGE,
    QUEUE_RUNNING,
    QUEUE_UNPUBLISHED,
    QUEUE_WAITING,
    WEBHOOKS_AGE,
    WEBHOOKS_DEAD,
    WEBHOOKS_WAITING,
    Name,
)

FRESH_S: Final = 2.0
"""However many ask, the database is asked once in so long."""
PATIENCE_S: Final = 4.0
"""Less than the ten seconds that Prometheus gives to all numbers of a process."""


@dataclass(frozen=True, slots=True)
class _Seen:
    queues: list[QueueState]
    dead: int
    webhooks: WebhookState
    locked: dict[str, int]


class Standing:
    """A collector of prometheus_client."""

    def __init__(
        self,
        stores: Stores,
        *,
        head: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """head: process id of the one that started the others; None: this one."""
        self._stores, self._head, self._monotonic = stores, head or os.getpid(), clock
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._looking = False
        self._looks = 0
        self._seen: _Seen | None = None
        self._seen_at = float("-inf")

    def collect(self) -> Iterator[Any]:
        """The gauges; without the database, that it does not answer."""
        seen = self._latest()
        yield _gauge(DATABASE_UP, {(): 1.0 if seen else 0.0})
        yield _gauge(MEMORY, {(part,): size for part, size in resident_bytes(self._head).items()})
        if seen is None:
            return
        now = self._stores.clock()
        yield _gauge(QUEUE_WAITING, {(q.lane.value,): q.waiting for q in seen.queues})
        yield _gauge(QUEUE_RUNNING, {(q.lane.value,): q.running for q in seen.queues})
        yield _gauge(QUEUE_UNPUBLISHED, {(q.lane.value,): q.unpublished for q in seen.queues})
        ages = {
            (q.lane.value,): max(0.0, (now - q.oldest).total_seconds()) if q.oldest else 0.0
            for q in seen.queues
        }
        yield _gauge(QUEUE_AGE, ages)
        yield _gauge(DEAD, {(): seen.dead})
        oldest = seen.webhooks.oldest
        yield _gauge(WEBHOOKS_WAITING, {(): seen.webhooks.waiting})
        yield _gauge(WEBHOOKS_AGE, {(): max(0.0, (now - oldest).total_seconds()) if oldest else 0.0})
        yield _gauge(WEBHOOKS_DEAD, {(): seen.webhooks.dead})
        yield _gauge(LOCKED_OUT, {(kind,): count for kind, count in seen.locked.items()})

    def describe(self) -> list[Any]:
        """Nothing beforehand: a start must not wait for the database."""
        return []

    def _latest(self) -> _Seen | None:
        with self._changed:
            if self._monotonic() - self._seen_at < FRESH_S:
                return self._seen
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look_once, name="recon-standing", daemon=True).start()
            before = self._looks
            there = self._changed.wait_for(lambda: self._looks > before, self._patience_s)
            return self._seen if there else None

    def _look_once(self) -> None:
        seen = None
        try:
            seen = self._look()
        finally:
            with self._changed:
                self._seen, self._seen_at = seen, self._monotonic()
                self._looks += 1
                self._looking = False
                self._changed.notify_all()

    def _look(self) -> _Seen | None:
        try:
            with self._stores.database.snapshot() as tx:
                webhooks = tx.webhooks.state()
            locked = dict.fromkeys((kind.value for kind in FailureKind), 0)
            for counter in locked_out(on=self._stores):
                locked[counter.kind.value] = locked.get(counter.kind.value, 0) + 1
            return _Seen(
                queue_states(on=self._stores),
                len(list_dead(on=self._stores, limit=MAX_LISTED)),
                webhooks,
                locked,
            )
        except StorageFault:
            return None


def _gauge(name: Name, values: Mapping[Any, float]) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name.name, name.help, labels=name.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
