"""A batch from submission to rollback: whom it selects, with what material, and what it puts in force."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from recon_service.application.keeping.audit import verify_audit
from recon_service.application.notifying.webhooks import list_deliveries, register_endpoint
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.batches import (
    Batch,
    BatchState,
    BatchTarget,
    ItemState,
    Selection,
    Standing,
)
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.application.records.webhooks import EventKind
from recon_service.application.reenrolling.batches import (
    activate_batch,
    cancel_batch,
    list_batches,
    list_items,
    look_at_batch,
    preview_batch,
    retry_failed_items,
    roll_back_batch,
)
from recon_service.application.templates.subjects import list_templates, load_template
from recon_service.domain.errors import Conflict, InvalidValue
from recon_service.domain.template import DepthVisit
from recon_service.webhooks.addresses import LOOPBACK
from recon_service.webhooks.sender import HttpWebhookSender
from tests.unit.application.batches_asked import (
    CARRIED,
    EVERYBODY,
    add_version,
    enroll,
    in_force,
    standings,
    state,
    states,
    submit,
)
from tests.unit.application.batches_support import (
    NoOpCompute,
    add_subject,
    add_subjects,
    seal,
    template_for,
    work,
)
from tests.unit.application.stores import OUTCOME


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
    enroll(stores, "early")
    work(stores)
    assert states(stores, batch_id) == {"succeeded": 2, "cancelled": 1}
    assert look_at_batch(batch_id, on=stores).tally.reasons == {"enrolled-anew": 1}
    enroll(stores, "meanwhile")
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
    add_version(stores, "ada", TemplateOrigin.STRENGTHENING)
    roll_back_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert in_force(stores, "ada") == before
    # A version of another origin is somebody's decision, and stays.
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    chosen = add_version(stores, "ada", TemplateOrigin.IMPORT)
    roll_back_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert in_force(stores, "ada")[0] == chosen
    assert standings(stores, batch_id) == {"superseded": 1}


def test_selfies_first_then_evidence_else_a_new_selfie(stores: Stores) -> None:
    enroll(stores, "kept", keep_selfies=True)
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
    enroll(stores, "ada", keep_selfies=True)
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
    add_version(stores, "ada", TemplateOrigin.STRENGTHENING, visits=(seen,))
    batch_id = submit(stores, target=BatchTarget())
    work(stores)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    found = load_template("ada", None, on=stores)
    assert found.model == "model-2"
    assert [visit.visit_id for visit in found.visits] == ["vis_1"]


def test_batch_values_are_checked() -> None:
    with pytest.raises(InvalidValue):
        BatchTarget(materials=())
    with pytest.raises(InvalidValue):
        Batch("b", BatchState.RUNNING, EVERYBODY, CARRIED, 10, "ops", utc_now(), utc_now(), 0)
    assert Standing("candidate") is Standing.CANDIDATE


def test_who_waits_for_the_end_is_told_of_a_cancellation(stores: Stores) -> None:
    add_subjects(stores, ["s0", "s1"])
    endpoint, _ = register_endpoint(
        "http://127.0.0.1:9/",
        frozenset({EventKind.BATCH_ENDED}),
        actor="ops",
        sender=HttpWebhookSender(allowed=LOOPBACK),
        on=stores,
    )
    batch_id = submit(stores)
    for _ in range(2):
        cancel_batch(batch_id, actor="ops", on=stores)
    (delivery,) = list_deliveries(endpoint.endpoint_id, on=stores)
    said = json.loads(delivery.body)["data"]
    assert (said["batch_id"], said["state"]) == (batch_id, "cancelled")


def test_a_batch_that_made_nothing_is_not_activated(stores: Stores) -> None:
    add_subjects(stores, ["s0"])
    batch_id = submit(stores)
    cancel_batch(batch_id, actor="ops", on=stores)
    with pytest.raises(Conflict, match="made no template"):
        activate_batch(batch_id, actor="ops", on=stores)
    assert state(stores, batch_id) is BatchState.CANCELLED
