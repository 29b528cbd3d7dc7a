"""Working on batches: faults, dead runners, pauses, deletions, who goes first."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.errors import StorageUnavailable
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.batches import BatchState, BatchTarget, ItemState
from recon_service.application.reenrolling.batch_runs import work_on_batches
from recon_service.application.reenrolling.batches import (
    activate_batch,
    cancel_batch,
    list_items,
    look_at_batch,
    pause_batch,
    resume_batch,
    retry_failed_items,
    roll_back_batch,
    submit_batch,
)
from recon_service.application.templates.subjects import delete_subject, list_templates
from recon_service.domain.errors import Conflict, FitFailed, NotFound
from tests.unit.application.batches_asked import (
    CARRIED,
    EVERYBODY,
    enroll,
    standings,
    state,
    states,
    submit,
)
from tests.unit.application.batches_support import (
    MODELS,
    POLICY,
    NoOpCompute,
    add_subject,
    add_subjects,
    work,
)
from tests.unit.application.stores import ListQueue, ScriptedCompute


def test_pause_resume_cancel(stores: Stores) -> None:
    add_subjects(stores, [f"s{n:02}" for n in range(40)])
    batch_id = submit(stores)
    work(stores, turns=3)  # a page, and two groups of eight
    pause_batch(batch_id, actor="ops", on=stores)
    done = states(stores, batch_id)
    assert work(stores) == 0
    assert states(stores, batch_id) == done == {"succeeded": 16}
    resume_batch(batch_id, actor="ops", on=stores)
    work(stores, turns=2)
    cancel_batch(batch_id, actor="ops", on=stores)
    assert states(stores, batch_id) == {"succeeded": 24, "cancelled": 8}
    assert work(stores) == 0
    for change in (pause_batch, resume_batch, roll_back_batch):
        with pytest.raises(Conflict):
            change(batch_id, actor="ops", on=stores)
    with pytest.raises(NotFound):
        pause_batch("batch_of-nobody", actor="ops", on=stores)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert standings(stores, batch_id) == {"activated": 24}


def test_a_pause_in_the_middle_of_a_group_gives_the_rest_back(stores: Stores) -> None:
    """Items that are computed one by one: what was not begun waits again, with all its attempts."""
    for n in range(6):
        enroll(stores, f"s{n}", keep_selfies=True)
    batch_id = submit(stores, target=BatchTarget())
    work(stores, turns=1)

    class PausesAtTheSecond(NoOpCompute):
        def reconstruct(self, selfies, progress, *, backend):  # type: ignore[no-untyped-def]
            if len(self.reconstructed) == 1:
                pause_batch(batch_id, actor="ops", on=stores)
            return super().reconstruct(selfies, progress, backend=backend)

    compute = PausesAtTheSecond()
    work_on_batches(
        on=stores,
        compute=compute,
        models=MODELS,
        policy=replace(POLICY, look=timedelta(0)),
        stopping=lambda: state(stores, batch_id) is BatchState.PAUSED,
    )
    assert states(stores, batch_id) == {"succeeded": 2, "waiting": 4}
    assert {i.attempts for i in list_items(batch_id, on=stores, state=ItemState.WAITING)} == {0}


def test_what_ends_long_after_a_pause_is_given_back(stores: Stores) -> None:
    """A process that computes may have to start first: the pause holds all the same, and nothing is lost."""
    add_subjects(stores, [f"s{n:02}" for n in range(4)])
    batch_id = submit(stores)
    work(stores, turns=1)  # the items are made

    def slow(_template: object) -> None:
        if state(stores, batch_id) is BatchState.RUNNING:
            pause_batch(batch_id, actor="ops", on=stores)
            time.sleep(0.6)

    hasty = replace(POLICY, look=timedelta(seconds=0.05), late=timedelta(seconds=0.2))
    work_on_batches(on=stores, compute=NoOpCompute(slow), models=MODELS, policy=hasty)
    assert state(stores, batch_id) is BatchState.PAUSED
    assert states(stores, batch_id) == {"waiting": 4}
    assert len(list_templates("s00", on=stores)) == 1
    resume_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert states(stores, batch_id) == {"succeeded": 4}
    assert list_items(batch_id, on=stores)[0].attempts == 1


def test_faults_end_as_failed_and_can_be_retried(stores: Stores) -> None:
    add_subjects(stores, ["a", "b"])
    batch_id = submit(stores)
    broken = NoOpCompute(fault=lambda _t: FitFailed("diverged"))
    work(stores, broken)
    assert states(stores, batch_id) == {"failed": 2}
    found = look_at_batch(batch_id, on=stores)
    assert found.batch.state is BatchState.READY
    assert found.tally.reasons == {"fit-failed": 2}
    assert {i.attempts for i in list_items(batch_id, on=stores)} == {3}
    assert retry_failed_items(batch_id, actor="ops", on=stores)[1] == 2
    assert state(stores, batch_id) is BatchState.RUNNING
    work(stores)
    assert states(stores, batch_id) == {"succeeded": 2}


def test_a_storage_that_is_away_costs_no_attempt(stores: Stores) -> None:
    add_subject(stores, "a")
    batch_id = submit(stores)
    away = NoOpCompute(fault=lambda _t: StorageUnavailable("away"))
    work(stores, away, turns=9)
    (item,) = list_items(batch_id, on=stores)
    assert (item.state, item.attempts) == (ItemState.WAITING, 0)


def test_what_a_dead_runner_held_is_taken_again_and_its_late_end_is_void(stores: Stores) -> None:
    names = [f"s{n}" for n in range(8)]
    add_subjects(stores, names)
    batch_id = submit(stores)
    work(stores, turns=1)
    with stores.database.transaction() as tx:
        held = tx.batch_items.take(
            batch_id, token="of-the-dead", limit=8, now=utc_now(), stale_before=utc_now() - timedelta(60)
        )
    assert held is not None
    assert work(stores) == 0, "its runner may be alive"
    later = replace(stores, clock=lambda: utc_now() + timedelta(minutes=2))
    work(later)
    assert states(stores, batch_id) == {"succeeded": 8}
    from recon_service.application.reenrolling.batch_items import derived_anew

    ends = [
        end
        for some in derived_anew(held, on=stores, compute=NoOpCompute(), policy=POLICY.item)
        for end in some
    ]
    with stores.database.transaction() as tx:
        assert tx.batch_items.finish(held, ends, now=utc_now()) == []
    assert all(len(list_templates(name, on=stores)) == 2 for name in names)


def test_items_that_were_made_while_a_clock_was_ahead_do_not_wait_for_it(stores: Stores) -> None:
    add_subjects(stores, [f"s{n}" for n in range(4)])
    batch_id = submit(stores)
    ahead = replace(stores, clock=lambda: utc_now() + timedelta(hours=3))
    work(ahead, turns=1)
    assert states(stores, batch_id) == {"waiting": 4}
    work(stores)
    assert states(stores, batch_id) == {"succeeded": 4}


def test_an_item_that_kills_its_runners_is_given_up(stores: Stores) -> None:
    add_subject(stores, "a")
    batch_id = submit(stores)
    work(stores, turns=1)
    for n in range(3):
        with stores.database.transaction() as tx:
            now = utc_now() + n * timedelta(minutes=2)
            stale = now - timedelta(minutes=1)
            assert tx.batch_items.take(batch_id, token=str(n), limit=8, now=now, stale_before=stale)
    later = replace(stores, clock=lambda: utc_now() + timedelta(minutes=8))
    work(later)
    assert look_at_batch(batch_id, on=stores).tally.reasons == {"worker-lost": 1}


def test_a_deleted_subject_leaves_nothing(stores: Stores) -> None:
    add_subjects(stores, ["a", "b", "c"])
    batch_id = submit(stores)
    work(stores)
    delete_subject("b", on=stores)
    assert states(stores, batch_id) == {"succeeded": 2}
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert standings(stores, batch_id) == {"activated": 2}


def test_batches_yield_to_people(stores: Stores) -> None:
    add_subject(stores, "a")
    batch_id = submit(stores)
    queued = EnrollmentRequest("somebody", (b"one",), "consent-1")
    operation = request_enrollment(queued, on=stores, queue=ListQueue()).operation
    late = replace(stores, clock=lambda: utc_now() + timedelta(seconds=5))
    assert work(late) == 0
    run_enrollment(
        operation.operation_id,
        on=stores,
        compute=ScriptedCompute(),
        queue=ListQueue(),
        policy=JobPolicy(),
    )
    assert work(late) > 0
    assert state(stores, batch_id) is BatchState.READY


def test_workers_take_what_they_can_serve(stores: Stores) -> None:
    add_subject(stores, "a")
    submit(stores, target=replace(CARRIED, model="model-3"))
    submit(stores, target=replace(CARRIED, calibration="table-3"))
    submit(stores, target=replace(CARRIED, backend="deca"))
    assert work(stores) == 0
    batch_id = submit(stores, target=replace(CARRIED, model="model-2", calibration="table-2"))
    work(stores)
    assert state(stores, batch_id) is BatchState.READY


def test_the_urgent_one_first(stores: Stores) -> None:
    add_subjects(stores, [f"s{n}" for n in range(8)])
    slow = submit(stores)
    urgent = submit_batch(EVERYBODY, CARRIED, priority=9, actor="ops", on=stores)[0].batch_id
    work(stores, turns=3)
    assert state(stores, urgent) is BatchState.READY
    assert states(stores, slow) == {}
