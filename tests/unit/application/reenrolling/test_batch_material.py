"""A batch derives from what was kept of the enrollment in force, and of no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.batches import BatchTarget, ItemState
from recon_service.application.records.operations import EnrollmentOutcome, Operation, Problem
from recon_service.application.records.references import DuplicateFinding
from recon_service.application.records.templates import TemplateOrigin
from recon_service.application.reenrolling.batches import activate_batch, list_items, preview_batch
from recon_service.application.templates.subjects import activate_template, list_templates, load_template
from tests.unit.application.batches_asked import EVERYBODY, add_version, states, submit
from tests.unit.application.batches_support import NoOpCompute, add_subject, work
from tests.unit.application.stores import OUTCOME, ListQueue, ScriptedCompute


@dataclass(frozen=True)
class LooksLike:
    """Everybody is held for looking like that subject, until operations decide."""

    other: str
    hold: bool = True

    @property
    def problem(self) -> Problem:
        return Problem("duplicate-held", "x", "y")

    def check(self) -> None:
        """Nothing to load."""

    def search(self, _outcome: EnrollmentOutcome, *, on: Stores) -> object:
        return self.other

    def findings(
        self, _searched: object, operation: Operation, *, on: Stores, tx: object
    ) -> tuple[DuplicateFinding, ...]:
        ids = (operation.operation_id, operation.subject_id, self.other, "tpl_other")
        return (DuplicateFinding(*ids, 9.0, on.clock()),)


def enroll(stores: Stores, *selfies: bytes, duplicates: LooksLike | None = None, **keep: bool) -> str:
    """The template of an enrollment of Ada."""
    request = EnrollmentRequest("ada", selfies, "consent-1", **keep)
    operation = request_enrollment(request, on=stores, queue=ListQueue()).operation

    def seen(given: Sequence[bytes]) -> EnrollmentOutcome:
        return replace(OUTCOME, evidence=b"evidence of " + given[0])

    done = run_enrollment(
        operation.operation_id,
        on=stores,
        compute=ScriptedCompute(seen),
        queue=ListQueue(),
        policy=JobPolicy(),
        duplicates=duplicates,  # type: ignore[arg-type]
    )
    assert done is not None
    assert done.template_id is not None
    return done.template_id


def derive(stores: Stores) -> tuple[list[tuple[bytes, ...]], list[bytes], str]:
    """What a batch computes from: selfies, evidence; and the batch."""
    compute = NoOpCompute()
    batch_id = submit(stores, target=BatchTarget())
    work(stores, compute)
    return compute.reconstructed, compute.refits, batch_id


def test_pictures_of_an_enrollment_that_was_replaced_are_not_used(stores: Stores) -> None:
    enroll(stores, b"old face", keep_selfies=True)
    enroll(stores, b"new face")
    found = preview_batch(EVERYBODY, BatchTarget(), on=stores)
    assert (found.selfies, found.nothing) == (0, 1)
    selfies, evidence, batch_id = derive(stores)
    assert (selfies, evidence) == ([], [])
    (item,) = list_items(batch_id, on=stores)
    assert (item.state, item.reason) == (ItemState.NEEDS_NEW_SELFIE, "nothing-kept")


def test_pictures_that_wait_for_a_decision_do_not_come_into_force_by_a_batch(stores: Stores) -> None:
    add_subject(stores, "bob")
    in_force = enroll(stores, b"ada", keep_selfies=True)
    enroll(stores, b"somebody else", duplicates=LooksLike("bob"), keep_selfies=True, keep_evidence=True)
    assert load_template("ada", None, on=stores).template_id == in_force
    selfies, evidence, _ = derive(stores)
    assert (selfies, evidence) == ([(b"ada",)], [])


def test_evidence_does_not_outlive_the_enrollment_that_operations_replace(stores: Stores) -> None:
    """Operations put a template in force that was held: what is kept of the one before says nothing of it."""
    add_subject(stores, "bob")
    enroll(stores, b"first", keep_evidence=True)
    held = enroll(stores, b"second", duplicates=LooksLike("bob"), keep_evidence=True)
    assert derive(stores)[1] == [b"evidence of first"]
    activate_template("ada", held, on=stores)
    assert derive(stores)[:2] == ([], [])


def test_a_version_that_is_put_in_force_again_brings_its_pictures_back(stores: Stores) -> None:
    first = enroll(stores, b"first", keep_selfies=True)
    enroll(stores, b"second", keep_selfies=True)
    assert derive(stores)[0] == [(b"second",)]
    activate_template("ada", first, on=stores)
    add_version(stores, "ada", TemplateOrigin.STRENGTHENING)
    assert derive(stores)[0] == [(b"first",)], "also under what was derived from it"


def test_pictures_are_found_when_all_versions_between_are_destroyed(stores: Stores) -> None:
    enroll(stores, b"ada", keep_selfies=True, keep_evidence=True)
    _, _, batch_id = derive(stores)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    with stores.database.transaction() as tx:
        assert len(tx.templates.destroy_retired(retired_before=utc_now() + timedelta(days=1), limit=9)) == 1
    assert len(list_templates("ada", on=stores)) == 1
    selfies, _, again = derive(stores)
    assert selfies == [(b"ada",)]
    assert states(stores, again) == {"succeeded": 1}
