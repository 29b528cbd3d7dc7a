"""What stays of batches that came to their end, and how their items are read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from recon_service.application.keeping.audit import verify_audit
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.batches import BatchState, Selection
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.application.reenrolling.batch_retention import (
    BatchRetention,
    ForgottenOfBatches,
    forget_ended_batches,
)
from recon_service.application.reenrolling.batch_runs import close_cancelled, destroy_old_candidates
from recon_service.application.reenrolling.batches import (
    activate_batch,
    cancel_batch,
    list_batches,
    list_items,
    look_at_batch,
    retry_failed_items,
    roll_back_batch,
)
from recon_service.application.templates.subjects import list_templates
from recon_service.domain.errors import Conflict
from recon_service.storage.database import SqlDatabase
from tests.unit.application.batches_asked import (
    add_version,
    in_force,
    standings,
    states,
    submit,
)
from tests.unit.application.batches_support import (
    POLICY,
    add_subject,
    add_subjects,
    work,
)

DAY = timedelta(days=1)


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
    monkeypatch.setattr("recon_service.application.keeping.pages.ROWS", 5)
    monkeypatch.setattr("recon_service.application.keeping.pages.PAGES", 1)
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


def test_what_a_cancelled_batch_had_in_work_ends_although_it_is_activated_at_once(stores: Stores) -> None:
    """Open items of a batch that nobody works on would wait for ever, and never be destroyed."""
    add_subjects(stores, [f"s{n}" for n in range(10)])
    batch_id = submit(stores)
    work(stores, turns=1)
    with stores.database.transaction() as tx:
        now = utc_now()
        groups = [
            tx.batch_items.take(batch_id, token=token, limit=4, now=now, stale_before=now - DAY)
            for token in ("one", "two")
        ]
    cancel_batch(batch_id, actor="ops", on=stores)
    activate_batch(batch_id, actor="ops", on=stores)
    given_back, put_off = groups
    assert given_back is not None
    assert put_off is not None
    with stores.database.transaction() as tx:
        names = [item.subject_id for item in given_back.items]
        tx.batch_items.give_back(given_back, names, now=now)
    assert states(stores, batch_id) == {"cancelled": 6, "running": 4}
    later = replace(stores, clock=lambda: utc_now() + timedelta(minutes=5))
    assert close_cancelled(on=later, policy=POLICY) == 4
    assert states(stores, batch_id) == {"cancelled": 10}


def test_candidates_that_are_derived_anew_leave_none_behind(stores: Stores) -> None:
    add_subject(stores, "ada")
    batch_id = submit(stores)
    work(stores)
    add_version(stores, "ada", TemplateOrigin.STRENGTHENING)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert standings(stores, batch_id) == {"superseded": 1}
    (left,) = (t for t in list_templates("ada", on=stores) if t.state is TemplateState.CANDIDATE)
    retry_failed_items(batch_id, actor="ops", on=stores)
    assert left.template_id not in {t.template_id for t in list_templates("ada", on=stores)}
    work(stores)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert standings(stores, batch_id) == {"activated": 1}
    assert {t.state for t in list_templates("ada", on=stores)} == {
        TemplateState.ACTIVE,
        TemplateState.RETIRED,
    }


def test_a_candidate_that_is_activated_while_it_was_to_be_destroyed_stays_its_items(stores: Stores) -> None:
    """Else the activation could not be rolled back."""
    assert isinstance(stores.database, SqlDatabase)
    engine = stores.database.engine
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    (former,) = add_subjects(stores, ["ada"])
    batch_id = submit(stores)
    work(stores)
    cancelled_after_all(stores, batch_id)

    activated: list[str] = []

    def activate_first(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM templates") and not activated:
            activated.append(batch_id)
            activate_batch(batch_id, actor="ops", on=stores)
            work(stores)

    event.listen(engine, "before_cursor_execute", activate_first)
    assert destroy_old_candidates(on=stores, older_than=-DAY) == 0
    assert standings(stores, batch_id) == {"activated": 1}
    roll_back_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert in_force(stores, "ada")[0] == former


def cancelled_after_all(stores: Stores, batch_id: str) -> None:
    """A batch whose candidates nobody wants, for the moment."""
    with stores.database.transaction() as tx:
        states_before = (BatchState.READY,)
        assert tx.batches.change(batch_id, into=BatchState.CANCELLED, out_of=states_before, now=utc_now())
