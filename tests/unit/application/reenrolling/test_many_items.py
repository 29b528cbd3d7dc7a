"""What is done to all items of a batch is done in pages: of more than one it comes to the same."""

from __future__ import annotations

import pytest

from recon_service.application.errors import StorageUnavailable
from recon_service.application.keeping import pages
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import BatchState, ItemState
from recon_service.application.reenrolling import batches
from recon_service.application.reenrolling.batch_runs import close_cancelled
from recon_service.application.reenrolling.batches import (
    activate_batch,
    cancel_batch,
    look_at_batch,
    retry_failed_items,
    roll_back_batch,
)
from recon_service.domain.errors import FitFailed
from tests.unit.application.batches_asked import standings, state, states, submit
from tests.unit.application.batches_support import POLICY, NoOpCompute, add_subjects, work


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pages, batches):
        monkeypatch.setattr(module, "ROWS", 3)
        monkeypatch.setattr(module, "PAGES", 2)
    monkeypatch.setattr(batches, "CLOSED_AT_ONCE", 1)


def people(stores: Stores, count: int = 14) -> None:
    add_subjects(stores, [f"s{n:02}" for n in range(count)])


def test_who_cancels_waits_for_some_and_a_sweeper_ends_the_rest(stores: Stores) -> None:
    people(stores)
    batch_id = submit(stores)
    work(stores, turns=1)  # the items are made
    cancel_batch(batch_id, actor="ops", on=stores)
    assert states(stores, batch_id) == {"cancelled": 3, "waiting": 11}
    assert [close_cancelled(on=stores, policy=POLICY) for _ in range(3)] == [6, 5, 0]
    assert states(stores, batch_id) == {"cancelled": 14}


def test_all_that_failed_is_tried_again_once(stores: Stores) -> None:
    people(stores)
    batch_id = submit(stores)
    work(stores, NoOpCompute(fault=lambda _t: FitFailed("diverged")))
    assert states(stores, batch_id) == {"failed": 14}
    assert retry_failed_items(batch_id, actor="ops", on=stores)[1] == 14
    assert states(stores, batch_id) == {"waiting": 14}
    assert state(stores, batch_id) is BatchState.RUNNING
    assert retry_failed_items(batch_id, actor="ops", on=stores)[1] == 0
    with stores.database.snapshot() as tx:
        assert [e.outcome for e in tx.audit.entries(action="batch.retried")] == ["items=14", "items=0"]


def test_a_batch_goes_there_and_back_again(stores: Stores) -> None:
    people(stores)
    batch_id = submit(stores)
    work(stores)
    for change, standing in (
        (activate_batch, "activated"),
        (roll_back_batch, "rolled-back"),
        (activate_batch, "activated"),
        (roll_back_batch, "rolled-back"),
    ):
        change(batch_id, actor="ops", on=stores)
        work(stores)
        assert standings(stores, batch_id) == {standing: 14}


def test_a_switch_whose_begin_was_broken_off_begins_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(stores)
    batch_id = submit(stores)
    work(stores)
    for change in (activate_batch, roll_back_batch):
        change(batch_id, actor="ops", on=stores)
        work(stores)
    with monkeypatch.context() as broken:

        def away(*_: object, **__: object) -> None:
            raise StorageUnavailable("away")

        broken.setattr(batches, "record", away)
        with pytest.raises(StorageUnavailable):
            activate_batch(batch_id, actor="ops", on=stores)
    assert state(stores, batch_id) is BatchState.ROLLED_BACK
    assert look_at_batch(batch_id, on=stores).tally.states == {ItemState.SUCCEEDED: 14}
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert standings(stores, batch_id) == {"activated": 14}
