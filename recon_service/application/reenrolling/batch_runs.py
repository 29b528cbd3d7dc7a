"""Working on batches: take a group of items -> derive each template anew -> candidates and ends in one
transaction. And switching: candidates into force, or the former templates back.

The database is the queue: any number of runners take items at once, and may be killed at any point. An
item's end is written with its candidate, by the holder of the newest claim alone; so nothing is done twice,
and what a dead runner had taken is taken again. A runner yields: it takes nothing while people wait for an
enrollment, and gives back what it has not begun.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from recon_service.application.keeping.audit import SERVICE, record, record_many
from recon_service.application.keeping.pages import in_pages
from recon_service.application.notifying.webhooks import batch_ended, emit
from recon_service.application.ports.batches import Rederiving
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import (
    Batch,
    BatchState,
    Group,
    ItemEnd,
    Standing,
)
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.models import ModelsInForce
from recon_service.application.records.operations import Lane
from recon_service.application.reenrolling.batch_items import ItemPolicy, derived_anew
from recon_service.application.reenrolling.models import model_for, serves
from recon_service.domain.errors import StorageFault


@dataclass(frozen=True, slots=True)
class RunnerPolicy:
    """group: items under one claim. page: items made at once. switched: subjects per transaction of a switch.
    silence: a runner that gives no sign of life for so long is taken for dead. yields_after: nothing is begun
    while an enrollment that somebody waits for has waited so long. look: time between two looks at whether to
    go on. flush: ends are written after so long at the latest. late: what ends so long after a pause or a
    cancellation was noticed is given back instead of written.
    """

    item: ItemPolicy = field(default_factory=ItemPolicy)
    group: int = 64
    page: int = 1024
    switched: int = 128
    silence: timedelta = timedelta(seconds=60)
    yields_after: timedelta = timedelta(seconds=0.3)
    look: timedelta = timedelta(seconds=0.5)
    flush: timedelta = timedelta(seconds=2)
    late: timedelta = timedelta(seconds=3)

    @property
    def heartbeat(self) -> timedelta:
        """Time between two signs of life."""
        return self.silence / 6


def work_on_batches(
    *,
    on: Stores,
    compute: Rederiving,
    models: ModelsInForce,
    policy: RunnerPolicy,
    stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """One turn: a page of a switch, or a group of items, of the most urgent batch that has any for this
    worker. False: there was nothing to do, or people wait. Raises StorageFault.
    """
    with on.database.snapshot() as tx:
        batches = tx.batches.working()
    if not batches:
        return False
    for batch in batches:
        if batch.state is not BatchState.RUNNING:
            worked = _switch_page(batch, on, policy)
        elif (model := _served(batch, models)) is None or people_wait(on=on, longer_than=policy.yields_after):
            worked = False
        else:
            worked = _turn(batch, on, compute.under(model), policy, stopping)
        if worked:
            return True
    return False


def _served(batch: Batch, models: ModelsInForce) -> str | None:
    """The model to derive its templates with, where this worker may take them."""
    return model_for(batch.target, models) if serves(batch, models) else None


def people_wait(*, on: Stores, longer_than: timedelta) -> bool:
    """Whether an enrollment that somebody waits for has not been begun for so long."""
    with on.database.snapshot() as tx:
        oldest = tx.operations.oldest_queued(Lane.INTERACTIVE)
    return oldest is not None and on.clock() - oldest > longer_than


def _turn(
    batch: Batch, on: Stores, compute: Rederiving, policy: RunnerPolicy, stopping: Callable[[], bool]
) -> bool:
    group = _take(batch, on, policy)
    if group is None:
        with on.database.transaction() as tx:
            made = tx.batches.list_page(batch.batch_id, limit=policy.page, now=on.clock())
        if made:
            return True
        return _complete(batch, on)
    _Work(group, on, compute, policy, stopping).run()
    return True


def _take(batch: Batch, on: Stores, policy: RunnerPolicy) -> Group | None:
    now = on.clock()
    with on.database.transaction() as tx:
        return tx.batch_items.take(
            batch.batch_id,
            token=new_id("claim"),
            limit=policy.group,
            now=now,
            stale_before=now - policy.silence,
        )


class _Work:
    """A group of items, with a thread beside it that gives signs of life and looks whether to go on."""

    def __init__(
        self,
        group: Group,
        on: Stores,
        compute: Rederiving,
        policy: RunnerPolicy,
        stopping: Callable[[], bool],
    ) -> None:
        self._group, self._on, self._compute, self._policy = group, on, compute, policy
        self._stopping = stopping
        self._halt, self._over = threading.Event(), threading.Event()
        self._stopped_at: float | None = None
        self._ends: list[ItemEnd] = []
        self._flushed = time.monotonic()
        self._open = {item.subject_id for item in group.items}

    def run(self) -> None:
        """Every item to its end, or back. Raises StorageFault: what is held then is taken again later."""
        with self._watched():
            work = derived_anew(self._group, on=self._on, compute=self._compute, policy=self._policy.item)
            for ends in work:
                if self._too_late():
                    break
                self._ends += ends
                if time.monotonic() - self._flushed > self._policy.flush.total_seconds():
                    self._flush()
                if self._halt.is_set() or self._stopping():
                    break
            self._flush()
            if self._open:
                with self._on.database.transaction() as tx:
                    tx.batch_items.give_back(self._group, sorted(self._open), now=self._on.clock())

    def _too_late(self) -> bool:
        """A process that computes may take long to start, and a pause holds all the same."""
        late = self._policy.late.total_seconds()
        return self._stopped_at is not None and time.monotonic() - self._stopped_at > late

    def _flush(self) -> None:
        ends, self._ends = self._ends, []
        self._flushed = time.monotonic()
        if ends:
            with self._on.database.transaction() as tx:
                tx.batch_items.finish(self._group, ends, now=self._on.clock())
            self._open -= {end.subject_id for end in ends}

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, name="recon-batch-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        beaten = time.monotonic()
        while not self._over.wait(self._policy.look.total_seconds()):
            with contextlib.suppress(StorageFault):
                if time.monotonic() - beaten > self._policy.heartbeat.total_seconds():
                    beaten = time.monotonic()
                    with self._on.database.transaction() as tx:
                        tx.batch_items.beat(self._group, now=self._on.clock())
                with self._on.database.snapshot() as tx:
                    batch = tx.batches.get(self._group.batch.batch_id)
                runs = batch is not None and batch.state is BatchState.RUNNING
                if runs:
                    self._stopped_at = None
                elif self._stopped_at is None:
                    self._stopped_at = time.monotonic()
                if not runs or people_wait(on=self._on, longer_than=self._policy.yields_after):
                    self._halt.set()


def _complete(batch: Batch, on: Stores) -> bool:
    """READY, once; with its entry in the log and its event."""
    now = on.clock()
    with on.database.snapshot() as tx:
        current = tx.batches.get(batch.batch_id)
        if current is None or current.listed_at is None or tx.batch_items.tally(batch.batch_id).open:
            return False
    with on.database.transaction() as tx:
        if not tx.batches.complete(batch.batch_id, now=now):
            return False
        tally = tx.batch_items.tally(batch.batch_id)
        emit(tx, batch_ended(batch, BatchState.READY, tally), now=now)
        said = tuple(f"{state.value}={n}" for state, n in tally.states.items() if n)
        record(tx, on=on, action="batch.ready", actor=SERVICE, object_id=batch.batch_id, outcome=said)
    return True


def _switch_page(batch: Batch, on: Stores, policy: RunnerPolicy) -> bool:
    """The next subjects of a batch that is activated or rolled back; after the last one, its new state."""
    forward = batch.state is BatchState.ACTIVATING
    into = Standing.ACTIVATED if forward else Standing.ROLLED_BACK
    now = on.clock()
    with on.database.transaction() as tx:
        done = tx.batch_items.switch(batch.batch_id, into=into, limit=policy.switched, now=now)
        if done.looked_at:
            record_many(
                tx,
                [(subject, after, f"instead of {before}") for subject, before, after in done.exchanged],
                on=on,
                action="template.activated",
                actor=batch.batch_id,
            )
            return True
        end = BatchState.ACTIVE if forward else BatchState.ROLLED_BACK
        if not tx.batches.change(batch.batch_id, into=end, out_of=(batch.state,), now=now):
            return False
        tally = tx.batch_items.tally(batch.batch_id)
        emit(tx, batch_ended(batch, end, tally), now=now)
        said = tuple(f"{standing.value}={n}" for standing, n in tally.standings.items() if n)
        record(tx, on=on, action=f"batch.{end.value}", actor=SERVICE, object_id=batch.batch_id, outcome=said)
        return True


def close_cancelled(*, on: Stores, policy: RunnerPolicy) -> int:
    """Items of cancelled batches that nobody will end; how many. For the sweeper of a runner."""
    now = on.clock()
    with on.database.snapshot() as tx:
        left = tx.batches.unended()
    closed = 0
    for batch in left:

        def page(tx: Transaction, limit: int, batch_id: str = batch.batch_id) -> int:
            stale = now - policy.silence
            return tx.batch_items.close_open(batch_id, stale_before=stale, now=now, limit=limit)

        closed += in_pages(page, on=on)
    return closed


def destroy_old_candidates(*, on: Stores, older_than: timedelta, limit: int = 500) -> int:
    """Candidates of ended batches that were never in force; how many are gone."""
    with on.database.transaction() as tx:
        gone = tx.batch_items.destroy_candidates(ended_before=on.clock() - older_than, limit=limit)
        done = [(subject, template, "candidate") for subject, template in gone]
        record_many(tx, done, on=on, action="template.expired", actor=SERVICE)
    return len(gone)
