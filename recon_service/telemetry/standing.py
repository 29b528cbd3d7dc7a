"""What the database says when somebody asks: queue, dead letters, webhooks, lock-outs. The same from every
process; take the maximum over instances, not the sum.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recon_service.application.enrolling.operations import MAX_LISTED, list_dead, queue_states
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import FailureKind
from recon_service.application.records.operations import QueueState
from recon_service.application.records.webhooks import WebhookState
from recon_service.application.verifying.lockouts import locked_out
from recon_service.domain.errors import StorageFault
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


@dataclass(frozen=True, slots=True)
class _Seen:
    queues: list[QueueState]
    dead: int
    webhooks: WebhookState
    locked: dict[str, int]


class Standing:
    """A collector of prometheus_client."""

    def __init__(
        self, stores: Stores, *, head: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """head: process id of the one that started the others; None: this one."""
        self._stores, self._head, self._monotonic = stores, head or os.getpid(), clock
        self._lock = threading.Lock()
        self._seen: _Seen | None = None
        self._seen_at = float("-inf")

    def collect(self) -> Iterator[Any]:
        """The gauges; without the database, that it does not answer."""
        with self._lock:
            if self._monotonic() - self._seen_at >= FRESH_S:
                self._seen, self._seen_at = self._look(), self._monotonic()
            seen = self._seen
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


def resident_bytes(head: int, proc: Path = Path("/proc")) -> dict[str, float]:
    """Resident memory of a process and, added up, of all that it started and what those started, in bytes.
    Empty where the system does not tell (only Linux does).
    """
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for folder in proc.glob("[0-9]*"):
        try:
            text = (folder / "status").read_text()
        except OSError:
            continue  # it ended while we looked
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        parents[int(folder.name)] = int(fields.get("PPid", "0"))
        sizes[int(folder.name)] = 1024 * int(fields.get("VmRSS", "0 kB").split()[0])
    if head not in sizes:
        return {}
    below = sum(size for pid, size in sizes.items() if pid != head and _below(pid, head, parents))
    return {"head": float(sizes[head]), "below": float(below)}


def _below(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        pid = parents.get(pid, 0)
    return False


def _gauge(name: Name, values: Mapping[Any, float]) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name.name, name.help, labels=name.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
