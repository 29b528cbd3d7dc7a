"""Runners of batches as they live beside a service: they find work by themselves, report, and stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recon_service.application.errors import Overloaded
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import BatchState, BatchTarget, ItemState, Material, Selection
from recon_service.application.records.models import OtherModel
from recon_service.application.reenrolling.batches import look_at_batch, submit_batch
from recon_service.application.reenrolling.models import overview_of_models
from recon_service.domain.template import Template
from recon_service.telemetry import configure_logging
from tests.integration.running import eventually
from tests.stacks import Stack
from tests.unit.application.batches_support import MODELS, POLICY, NoOpCompute, add_subjects
from tests.unit.application.stores import open_in
from worker.batches import BatchRunners, resident_bytes


class Stoppable(NoOpCompute):
    """Computes until it is closed. hold: set while nothing may end."""

    def __init__(self) -> None:
        super().__init__()
        self.hold, self.closed = threading.Event(), threading.Event()

    def carry_over(self, templates: Sequence[Template]) -> tuple[Template | str, ...]:
        while self.hold.is_set():
            if self.closed.wait(0.01):
                raise Overloaded("the service is shutting down")
        return super().carry_over(templates)

    def rest(self) -> None:
        """Nothing to end."""

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def stores(tmp_path: Path, stack: Stack) -> Iterator[Stores]:
    configure_logging(level="error", format="json")
    opened = open_in(tmp_path / "state", stack)
    yield opened.stores
    opened.close()


def submit(stores: Stores) -> str:
    add_subjects(stores, [f"s{n:02}" for n in range(20)])
    target = BatchTarget(materials=(Material.POSTERIOR,))
    return submit_batch(Selection(everybody=True), target, priority=5, actor="ops", on=stores)[0].batch_id


def test_runners_find_work_and_report(stores: Stores) -> None:
    batch_id = submit(stores)
    runners = BatchRunners(stores, Stoppable(), POLICY, count=2)  # type: ignore[arg-type]
    runners.start()
    try:
        assert eventually(lambda: look_at_batch(batch_id, on=stores).batch.state is BatchState.READY)
        assert eventually(lambda: len(overview_of_models(on=stores).workers) == 1)
    finally:
        runners.stop()
    (worker,) = overview_of_models(on=stores).workers
    assert worker.role == "batches"
    assert worker.models in (None, MODELS), "a process that just began need not have loaded anything"
    assert not look_at_batch(batch_id, on=stores).blocked
    assert resident_bytes() > 1_000_000


def test_a_stop_gives_back_what_hangs(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.batches.GRACE_S", 0.2)
    batch_id = submit(stores)
    compute = Stoppable()
    compute.hold.set()
    runners = BatchRunners(stores, compute, POLICY, count=1, keep_candidates=timedelta(days=1))  # type: ignore[arg-type]
    runners.start()
    assert eventually(
        lambda: look_at_batch(batch_id, on=stores).tally.states.get(ItemState.RUNNING, 0) == POLICY.group
    )
    runners.stop()
    assert look_at_batch(batch_id, on=stores).tally.states == {ItemState.WAITING: POLICY.page}


def test_a_worker_takes_what_another_model_that_it_can_load_is_asked_for(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only that: a model that it has not stays for workers that have it, and the batch says so."""
    monkeypatch.setattr("worker.batches.REPORT_S", 0.2)
    add_subjects(stores, [f"s{n:02}" for n in range(4)])
    compute = Stoppable()
    compute.models_in_force = replace(MODELS, others=(OtherModel("model-3", "table-3@4567", "three"),))
    wanted = {"model-3": BatchTarget(model="model-3", materials=(Material.POSTERIOR,))}
    wanted["table-3"] = BatchTarget(calibration="table-3", materials=(Material.POSTERIOR,))
    wanted["model-2"] = BatchTarget(materials=(Material.POSTERIOR,))
    unknown = BatchTarget(model="model-4", materials=(Material.POSTERIOR,))
    batches = {
        name: submit_batch(Selection(everybody=True), target, priority=5, actor="ops", on=stores)[0].batch_id
        for name, target in {**wanted, "model-4": unknown}.items()
    }
    runners = BatchRunners(stores, compute, POLICY, count=1)  # type: ignore[arg-type]
    runners.start()
    try:
        for name in wanted:
            assert eventually(
                lambda n=name: look_at_batch(batches[n], on=stores).batch.state is BatchState.READY
            )
        assert eventually(lambda: any(w.models for w in overview_of_models(on=stores).workers))
        (worker,) = overview_of_models(on=stores).workers
        assert worker.models == compute.models_in_force, "others are reported, and read as they were"
        assert look_at_batch(batches["model-4"], on=stores).blocked
        assert not look_at_batch(batches["model-4"], on=stores).tally.done
    finally:
        runners.stop()
    assert set(compute.asked_under) == {"model-2", "model-3"}
