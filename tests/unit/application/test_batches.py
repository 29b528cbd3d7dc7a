"""Batches: whom they select, how they end, and what is in force at every moment. On SQLite and PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recon_service.application.audit import verify_audit
from recon_service.application.batch_records import (
    Batch,
    BatchState,
    BatchTarget,
    ItemState,
    Material,
    Selection,
    Standing,
)
from recon_service.application.batch_retention import (
    BatchRetention,
    ForgottenOfBatches,
    forget_ended_batches,
)
from recon_service.application.batch_runs import close_cancelled, destroy_old_candidates, work_on_batches
from recon_service.application.batches import (
    activate_batch,
    cancel_batch,
    list_batches,
    list_items,
    look_at_batch,
    pause_batch,
    preview_batch,
    resume_batch,
    retry_failed_items,
    roll_back_batch,
    submit_batch,
)
from recon_service.application.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.errors import StorageUnavailable
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records import new_id
from recon_service.application.subjects import delete_subject, list_templates, load_template
from recon_service.application.template_records import TemplateOrigin, TemplateState
from recon_service.domain.errors import Conflict, FitFailed, InvalidValue, NotFound
from recon_service.domain.template import DepthVisit
from tests.stacks import Stack
from tests.unit.application.batches_support import (
    MODELS,
    POLICY,
    NoOpCompute,
    add_subject,
    add_subjects,
    seal,
    template_for,
    work,
)
from tests.unit.application.stores import OUTCOME, ListQueue, ScriptedCompute, open_in

EVERYBODY = Selection(everybody=True)
CARRIED = BatchTarget(materials=(Material.POSTERIOR,))


@pytest.fixture
def stores(tmp_path: Path, stack: Stack) -> Iterator[Stores]:
    opened = open_in(tmp_path / "state", stack)
    yield opened.stores
    opened.close()


def submit(stores: Stores, selection: Selection = EVERYBODY, target: BatchTarget = CARRIED) -> str:
    return submit_batch(selection, target, priority=5, actor="ops", on=stores)[0].batch_id


def states(stores: Stores, batch_id: str) -> dict[str, int]:
    return {s.value: n for s, n in look_at_batch(batch_id, on=stores).tally.states.items() if n}


def standings(stores: Stores, batch_id: str) -> dict[str, int]:
    return {s.value: n for s, n in look_at_batch(batch_id, on=stores).tally.standings.items() if n}


def state(stores: Stores, batch_id: str) -> BatchState:
    return look_at_batch(batch_id, on=stores).batch.state


def in_force(stores: Stores, subject_id: str) -> tuple[str, bytes]:
    active = [t for t in list_templates(subject_id, on=stores) if t.state is TemplateState.ACTIVE]
    assert len(active) == 1
    return active[0].template_id, active[0].sealed


def test_a_batch_from_submission_to_rollback(stores: Stores) -> None:
    """Nobody's template in force changes before the activation, and a rollback gives back the very bytes."""
    names = [f"s{n:02}" for n in range(37)]
    add_subjects(stores, names)
    before = {name: in_force(stores, name) for name in names}
    batch_id = submit(stores)
    assert state(stores, batch_id) is BatchState.RUNNING
    work(stores)
    assert state(stores, batch_id) is BatchState.READY
    assert states(stores, batch_id) == {"succeeded": 37}
    assert {name: in_force(stores, name) for name in names} == before
    candidate = next(t for t in list_templates("s00", on=stores) if t.state is TemplateState.CANDIDATE)
    assert (candidate.origin, candidate.model, candidate.parent_id) == (
        TemplateOrigin.REENROLLMENT,
        "model-2",
        before["s00"][0],
    )
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert state(stores, batch_id) is BatchState.ACTIVE
    assert standings(stores, batch_id) == {"activated": 37}
    assert all(load_template(name, None, on=stores).model == "model-2" for name in names)
    roll_back_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert state(stores, batch_id) is BatchState.ROLLED_BACK
    assert {name: in_force(stores, name) for name in names} == before
    # And forth again: what was rolled back may be judged once more.
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert standings(stores, batch_id) == {"activated": 37}
    assert verify_audit(on=stores).broken is None
    with stores.database.snapshot() as tx:
        done = [e.action for e in tx.audit.entries()]
    assert done.count("template.activated") == 3 * 37
    assert {"batch.submitted", "batch.ready", "batch.active", "batch.rolled-back"} <= set(done)


def test_selections_and_their_previews(stores: Stores) -> None:
    add_subject(stores, "old", age_days=100)
    add_subject(stores, "poor", quality=20.0)
    add_subject(stores, "other", model="model-0")
    add_subject(stores, "plain")
    cases = {
        "model-0": Selection(model="model-0"),
        "old": Selection(made_before=utc_now() - timedelta(days=50)),
        "poor": Selection(quality_below=30.0),
        "listed": Selection(subjects=("plain", "old", "nobody")),
        "all": EVERYBODY,
    }
    counts = {name: preview_batch(wish, CARRIED, on=stores).selected for name, wish in cases.items()}
    assert counts == {"model-0": 1, "old": 1, "poor": 1, "listed": 2, "all": 4}
    assert preview_batch(cases["listed"], CARRIED, on=stores).unknown == 1
    found = preview_batch(EVERYBODY, BatchTarget(), on=stores)
    assert (found.selfies, found.evidence, found.nothing) == (0, 0, 4)
    assert found.models == {("model-1", "table-1@9876"): 3, ("model-0", "table-1@9876"): 1}
    assert list_batches(on=stores) == [], "a preview keeps nothing"
    for name, wish in cases.items():
        batch_id = submit(stores, wish)
        work(stores)
        assert states(stores, batch_id) == {"succeeded": counts[name]}, name


def test_a_selection_says_what_it_means(stores: Stores) -> None:
    with pytest.raises(InvalidValue):
        Selection()
    with pytest.raises(InvalidValue):
        Selection(everybody=True, model="model-1")
    with pytest.raises(InvalidValue):
        Selection(subjects=())
    with pytest.raises(InvalidValue, match="no subject"):
        submit(stores)


def test_who_enrolls_later_is_no_part_of_it(stores: Stores) -> None:
    add_subjects(stores, [f"s{n:02}" for n in range(20)])
    batch_id = submit(stores)
    with stores.database.transaction() as tx:
        key = stores.vault.new_key("late")
        tx.subjects.add(key, now=utc_now())
        tx.templates.add(seal(stores, template_for("late", now=utc_now()), key))
    work(stores)
    assert states(stores, batch_id) == {"succeeded": 20}
    assert not list_items(batch_id, on=stores, after="l", limit=1)[0].subject_id.startswith("l")


def test_who_is_enrolled_anew_keeps_the_newer_template(stores: Stores) -> None:
    """Before the item is worked on, it is left out; after it, the candidate is not activated, and a retry
    takes nothing from the person's own new pictures.
    """
    add_subjects(stores, ["early", "meanwhile", "same"])
    batch_id = submit(stores)
    _enroll(stores, "early")
    work(stores)
    assert states(stores, batch_id) == {"succeeded": 2, "cancelled": 1}
    assert look_at_batch(batch_id, on=stores).tally.reasons == {"enrolled-anew": 1}
    _enroll(stores, "meanwhile")
    mine = in_force(stores, "meanwhile")
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert standings(stores, batch_id) == {"activated": 1, "superseded": 1}
    assert in_force(stores, "meanwhile") == mine
    assert retry_failed_items(batch_id, actor="ops", on=stores)[1] == 1
    work(stores)
    assert states(stores, batch_id) == {"succeeded": 1, "cancelled": 2}


def test_a_strengthened_candidate_is_rolled_back_with_what_stands_on_it(stores: Stores) -> None:
    add_subject(stores, "ada")
    before = in_force(stores, "ada")
    batch_id = submit(stores)
    work(stores)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    _add_version(stores, "ada", TemplateOrigin.STRENGTHENING)
    roll_back_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert in_force(stores, "ada") == before
    # A version of another origin is somebody's decision, and stays.
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    chosen = _add_version(stores, "ada", TemplateOrigin.IMPORT)
    roll_back_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert in_force(stores, "ada")[0] == chosen
    assert standings(stores, batch_id) == {"superseded": 1}


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
        _enroll(stores, f"s{n}", keep_selfies=True)
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


def test_selfies_first_then_evidence_else_a_new_selfie(stores: Stores) -> None:
    _enroll(stores, "kept", keep_selfies=True)
    add_subject(stores, "nothing")
    batch_id = submit(stores, target=BatchTarget())
    compute = NoOpCompute()
    work(stores, compute)
    assert compute.reconstructed == [(b"one", b"two")]
    assert states(stores, batch_id) == {"succeeded": 1, "needs-new-selfie": 1}
    (item,) = list_items(batch_id, on=stores, state=ItemState.NEEDS_NEW_SELFIE)
    assert (item.subject_id, item.reason) == ("nothing", "nothing-kept")


def test_kept_visits_stay_with_the_new_template(stores: Stores) -> None:
    """What strengthening added is evidence of its own, in the same coefficients."""
    _enroll(stores, "ada", keep_selfies=True)
    seen = DepthVisit(
        "vis_1",
        OUTCOME.posterior,
        "depth/kinect2",
        1,
        "table",
        utc_now(),
        "pilot-1",
        9.0,
        False,
        1.0,
        "kiosk",
    )
    _add_version(stores, "ada", TemplateOrigin.STRENGTHENING, visits=(seen,))
    batch_id = submit(stores, target=BatchTarget())
    work(stores)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    found = load_template("ada", None, on=stores)
    assert found.model == "model-2"
    assert [visit.visit_id for visit in found.visits] == ["vis_1"]


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
    from recon_service.application.batch_items import derived_anew

    ends = [
        end
        for some in derived_anew(held, on=stores, compute=NoOpCompute(), policy=POLICY.item)
        for end in some
    ]
    with stores.database.transaction() as tx:
        assert tx.batch_items.finish(held, ends, now=utc_now()) == []
    assert all(len(list_templates(name, on=stores)) == 2 for name in names)


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


def test_items_come_in_pages(stores: Stores) -> None:
    names = [f"s{n:02}" for n in range(25)]
    add_subjects(stores, names)
    batch_id = submit(stores)
    work(stores)
    seen: list[str] = []
    while page := list_items(batch_id, on=stores, limit=10, after=seen[-1] if seen else ""):
        seen += [item.subject_id for item in page]
    assert seen == names


def test_what_nobody_will_end_or_activate_goes(stores: Stores) -> None:
    add_subjects(stores, [f"s{n:02}" for n in range(12)])
    batch_id = submit(stores)
    work(stores, turns=2)
    with stores.database.transaction() as tx:
        tx.batch_items.take(batch_id, token="dead", limit=4, now=utc_now(), stale_before=utc_now())
    cancel_batch(batch_id, actor="ops", on=stores)
    assert states(stores, batch_id) == {"succeeded": 8, "running": 4}
    later = replace(stores, clock=lambda: utc_now() + timedelta(minutes=2))
    assert close_cancelled(on=later, policy=POLICY) == 4
    assert states(stores, batch_id) == {"succeeded": 8, "cancelled": 4}
    assert destroy_old_candidates(on=later, older_than=timedelta(days=1)) == 0
    assert destroy_old_candidates(on=later, older_than=timedelta(0)) == 8
    assert all(len(list_templates(f"s{n:02}", on=stores)) == 1 for n in range(12))


def test_ended_batches_keep_their_counts_alone(stores: Stores) -> None:
    """Never while there is a way back; then the items go in pages, the line stays, and may go too."""
    add_subjects(stores, [f"s{n:02}" for n in range(12)])
    batch_id, waiting = submit(stores), submit(stores, Selection(subjects=("s00",)))
    work(stores)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    shown = look_at_batch(batch_id, on=stores)
    at_once, day = BatchRetention(items=timedelta(0)), timedelta(days=1)
    later = replace(stores, clock=lambda: utc_now() + day)
    nothing = ForgottenOfBatches((), 0, ())
    assert forget_ended_batches(on=later, retention=at_once) == nothing, "the former templates are there"
    with stores.database.transaction() as tx:
        assert len(tx.templates.destroy_retired(retired_before=utc_now() + day, limit=11)) == 11
    assert forget_ended_batches(on=later, retention=at_once) == nothing, "one of them still is"
    with stores.database.transaction() as tx:
        assert len(tx.templates.destroy_retired(retired_before=utc_now() + day, limit=11)) == 1
    assert forget_ended_batches(on=later, retention=BatchRetention(items=2 * day)) == nothing, "too early"
    assert forget_ended_batches(on=later, retention=at_once) == ForgottenOfBatches((batch_id,), 12, ())
    assert forget_ended_batches(on=later, retention=at_once) == nothing
    after = look_at_batch(batch_id, on=stores)
    assert (after.tally, after.batch.created_by, after.batch.state) == (
        shown.tally,
        "ops",
        BatchState.ACTIVE,
    )
    assert after.batch.items_gone_at is not None
    assert list_items(batch_id, on=stores) == []
    for change in (activate_batch, roll_back_batch, retry_failed_items):
        with pytest.raises(Conflict, match="retention"):
            change(batch_id, actor="ops", on=stores)
    assert states(stores, waiting) == {"succeeded": 1}, "nobody has judged it yet"
    counted = replace(at_once, counts=timedelta(hours=1))
    assert forget_ended_batches(on=later, retention=counted).batches == ()
    much_later = replace(stores, clock=lambda: utc_now() + 2 * day)
    assert forget_ended_batches(on=much_later, retention=counted).batches == (batch_id,)
    assert [b.batch.batch_id for b in list_batches(on=stores)] == [waiting]
    assert verify_audit(on=stores).broken is None


def test_items_go_in_pages(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled batch without candidates; another one keeps its items."""
    monkeypatch.setattr("recon_service.application.batch_retention.ITEMS_AT_ONCE", 5)
    add_subjects(stores, [f"s{n:02}" for n in range(12)])
    batch_id, other = submit(stores), submit(stores)
    work(stores, turns=1)  # the items are made
    cancel_batch(batch_id, actor="ops", on=stores)
    made = look_at_batch(batch_id, on=stores).tally
    later = replace(stores, clock=lambda: utc_now() + timedelta(minutes=1))
    at_once = BatchRetention(items=timedelta(0))
    gone = []
    while (found := forget_ended_batches(on=later, retention=at_once)).items:
        gone.append(found.items)
        assert look_at_batch(batch_id, on=stores).tally == made
    assert gone == [5, 5, 2]
    work(stores)
    assert states(stores, other) == {"succeeded": 12}


def _enroll(stores: Stores, subject_id: str, *, keep_selfies: bool = False) -> None:
    request = EnrollmentRequest(subject_id, (b"one", b"two"), "consent-1", keep_selfies=keep_selfies)
    operation = request_enrollment(request, on=stores, queue=ListQueue()).operation
    done = run_enrollment(
        operation.operation_id, on=stores, compute=ScriptedCompute(), queue=ListQueue(), policy=JobPolicy()
    )
    assert done is not None


def _add_version(stores: Stores, subject_id: str, origin: TemplateOrigin, **changes: object) -> str:
    with stores.database.transaction() as tx:
        key, active = tx.subjects.key(subject_id, lock=True), tx.templates.active(subject_id)
        assert key is not None
        assert active is not None
        template = replace(template_for(subject_id, now=utc_now()), template_id=new_id("tpl"), **changes)
        version = seal(
            stores,
            template,
            key,
            state=TemplateState.CANDIDATE,
            activated_at=None,
            origin=origin,
            parent_id=active.template_id,
        )
        tx.templates.add(version)
        tx.templates.activate(subject_id, version.template_id, now=utc_now())
    return version.template_id


def test_batch_values_are_checked() -> None:
    with pytest.raises(InvalidValue):
        BatchTarget(materials=())
    with pytest.raises(InvalidValue):
        Batch("b", BatchState.RUNNING, EVERYBODY, CARRIED, 10, "ops", utc_now(), utc_now(), 0)
    assert Standing("candidate") is Standing.CANDIDATE
