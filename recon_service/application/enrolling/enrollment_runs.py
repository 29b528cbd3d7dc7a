"""Running an enrollment: claim -> decrypt the selfies -> reconstruct -> template and end of the operation in
one transaction -> drop the selfies.

The run may be repeated at any point: nothing but the last transaction has an effect that anybody sees, and
only the holder of the newest claim gets it through. Rows are locked in the order subject, operation, others.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from recon_service.application.enrolling.keeping_evidence import keep_evidence
from recon_service.application.enrolling.operations import signs_of_life
from recon_service.application.errors import Overloaded, StorageRefused, StorageUnavailable
from recon_service.application.keeping.audit import SERVICE, operation_digest, record
from recon_service.application.keeping.backoff import wait_after
from recon_service.application.keeping.objects import delete_doomed
from recon_service.application.keeping.selfies import open_selfies
from recon_service.application.notifying.webhooks import emit, operation_ended
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.queue import JobQueue
from recon_service.application.ports.stores import Stores
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.operations import (
    Claim,
    EnrollmentOutcome,
    Operation,
    OperationState,
    Problem,
)
from recon_service.application.records.references import DuplicateFinding
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.application.templates.sealing import seal_template
from recon_service.application.verifying.recent_probes import forget_unless_allowed
from recon_service.domain.errors import CallerError, NotFound, ReconError, StorageFault, WeightsUnavailable
from recon_service.domain.template import Provenance, Template

if TYPE_CHECKING:  # loaded only where somebody asks for it
    from recon_service.application.enrolling.duplicates import DuplicateCheck, Searched


WORKER_LOST: Final = "worker-lost"
NOT_ITS_OWN: Final = (StorageUnavailable, StorageRefused, Overloaded, WeightsUnavailable)
"""Faults that another attempt, later or on another worker, may well not have: a worker that stops, that loads
the references or lacks a model file must not use up the attempts of whatever comes by.
"""
OVERTAKEN: Final = Problem(
    "overtaken",
    "A later enrollment of the subject was put in force while this one was still under way.",
    "Nothing: the later one stays in force. This one is kept for a while among the former versions.",
)


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """attempts: claims until an operation is given up. silence: a worker that gives no sign of life for so
    long is taken for dead. backoff: wait after the first failed attempt, four times as long after each
    further one. excused_backoff: wait after an attempt that failed for a fault that is not the enrollment's
    own, which does not count. patience: after so long it counts all the same, for nothing may wait for ever.
    upload: a request that has been storing selfies for so long is dead.
    """

    attempts: int = 3
    silence: timedelta = timedelta(seconds=60)
    backoff: timedelta = timedelta(seconds=1)
    excused_backoff: timedelta = timedelta(seconds=5)
    patience: timedelta = timedelta(hours=24)
    upload: timedelta = timedelta(minutes=10)

    @property
    def longest_wait(self) -> timedelta:
        """Between two attempts."""
        return max(self.excused_backoff, wait_after(self.attempts, first=self.backoff))

    @property
    def heartbeat(self) -> timedelta:
        """Time between two signs of life."""
        return self.silence / 6


def run_enrollment(
    operation_id: str,
    *,
    on: Stores,
    compute: Compute,
    queue: JobQueue,
    policy: JobPolicy,
    duplicates: DuplicateCheck | None = None,
) -> Operation | None:
    """Do the work of one operation; None when there is nothing to do (ended, deleted, or another worker has
    it). duplicates: looks whether the person is enrolled as somebody else; None: nobody asks.

    A fault gives the operation back for another attempt after a while, or ends it as failed after the last,
    with its selfies kept for a while so that it can be revived; what the computation says of the caller's
    pictures and wishes ends it at once. The fault itself is raised for the log of the worker.
    """
    claim = _claim(operation_id, on, policy)
    if claim is None:
        return None
    computing = False
    try:
        with signs_of_life(claim, every=policy.heartbeat, on=on) as progress:
            if duplicates is not None:
                duplicates.check()  # before anything is computed, which would have to be computed again
            selfies = _load_selfies(claim, on)
            computing = True
            outcome = compute.reconstruct(selfies, progress, backend=claim.operation.backend)
            computing = False
            searched = duplicates.search(outcome, on=on) if duplicates else None
            _keep(claim, outcome, on, duplicates, searched)
    except Exception as fault:
        # When the database itself is gone, the operation stays claimed until its silence is noticed.
        with contextlib.suppress(StorageFault):
            if get_operation_or_none(operation_id, on) is None:
                return None
            # A Conflict of two transactions or an object that is not there yet is nobody's mistake.
            refused = computing and isinstance(fault, CallerError)
            _give_back(claim, fault, on, queue, policy, refused=refused)
        raise
    return get_operation_or_none(operation_id, on)


def get_operation_or_none(operation_id: str, on: Stores) -> Operation | None:
    """The operation, or None if it was deleted."""
    with on.database.snapshot() as tx:
        return tx.operations.get(operation_id)


def _claim(operation_id: str, on: Stores, policy: JobPolicy) -> Claim | None:
    now = on.clock()
    with on.database.transaction() as tx:
        claim = tx.operations.claim(
            operation_id, token=new_id("claim"), now=now, stale_before=now - policy.silence
        )
        if claim is None or claim.operation.attempts <= policy.attempts:
            return claim
        # Its workers died so often that it is more likely the cause than the victim.
        problem = Problem(WORKER_LOST, "The workers that took this enrollment did not survive it.")
        tx.operations.finish(claim, state=OperationState.FAILED, now=now, problem=problem, dead=True)
        emit(tx, operation_ended(claim.operation, OperationState.FAILED, problem=problem.code), now=now)
    return None


def _load_selfies(claim: Claim, on: Stores) -> list[bytes]:
    with on.database.snapshot() as tx:
        stored = tx.selfies.of(claim.operation.operation_id)
        key = tx.subjects.key(claim.operation.subject_id)
    if key is None or not stored:
        raise NotFound("the subject was deleted")
    return open_selfies(stored, key, on=on)


def _keep(
    claim: Claim,
    outcome: EnrollmentOutcome,
    on: Stores,
    duplicates: DuplicateCheck | None,
    searched: Searched | None,
) -> None:
    """The template and the end of the operation, in one transaction; then the selfies go, unless consent
    keeps them. searched: whom ``duplicates`` has found the person to look like.

    Of a subject's enrollments the one that was asked for last stays in force, whichever ends last.
    """
    operation = claim.operation
    template = _template(operation, outcome, on)
    with on.database.transaction() as tx:
        if searched is not None:
            tx.references.take_turns()  # before the rows: who has one of them never waits for a turn
        key = tx.subjects.key(operation.subject_id, lock=True)
        if key is None or not tx.operations.holds(claim):
            return  # deleted meanwhile, or taken over by another worker: theirs is the last word
        findings: tuple[DuplicateFinding, ...] = ()
        if duplicates is not None and searched is not None:
            findings = duplicates.findings(searched, operation, on=on, tx=tx)
            if findings:
                outcome = replace(outcome, problem=duplicates.problem)
        if template is not None:
            origin, name = TemplateOrigin.ENROLLMENT, operation.operation_id
            sealed = seal_template(template, key, on=on, origin=origin, operation_id=name)
            if findings and duplicates is not None and duplicates.hold:
                tx.templates.add(sealed)
            elif tx.operations.overtaken(operation.operation_id):
                outcome = replace(outcome, problem=outcome.problem or OVERTAKEN)
                tx.templates.add(replace(sealed, state=TemplateState.RETIRED, retired_at=on.clock()))
            else:
                tx.templates.add(sealed)
                tx.templates.activate(operation.subject_id, template.template_id, now=on.clock())
                keep_evidence(template, operation, outcome.evidence, tx=tx, key=key, on=on)
            for finding in findings:
                tx.references.add_finding(finding)
        objects = forget_selfies(operation, tx, on)
        state = OperationState.SUCCEEDED if template else OperationState.REJECTED
        template_id = template.template_id if template else None
        code = outcome.problem.code if outcome.problem else ""
        tx.operations.finish(
            claim,
            state=state,
            now=on.clock(),
            selfies=outcome.selfies,
            template_id=template_id,
            problem=outcome.problem,
        )
        if template is not None:  # the consent of this enrollment is in force now
            forget_unless_allowed(operation.subject_id, tx=tx, on=on)
        ended = operation_ended(operation, state, problem=code, template_id=template_id)
        emit(tx, ended, now=on.clock())
        record(
            tx,
            on=on,
            action="enrollment.ended",
            actor=SERVICE,
            subject_id=operation.subject_id,
            object_id=operation_digest(operation.operation_id, on=on),
            outcome=(state.value, code) if code else (state.value,),
        )
    delete_doomed(objects, on=on)


def _template(operation: Operation, outcome: EnrollmentOutcome, on: Stores) -> Template | None:
    if outcome.posterior is None:
        return None
    used = sum(1 for s in outcome.selfies if s.used)
    seen = Provenance(source=outcome.source, backend=outcome.backend, captured_at=operation.created_at)
    return Template(
        template_id=new_id("tpl"),
        subject_id=operation.subject_id,
        posterior=outcome.posterior,
        source=outcome.source,
        model=outcome.model,
        calibration=outcome.calibration,
        provenance=(seen,) * used,
        quality=outcome.quality,
        created_at=on.clock(),
        appearance=outcome.appearance,
    )


def _give_back(
    claim: Claim, fault: Exception, on: Stores, queue: JobQueue, policy: JobPolicy, *, refused: bool
) -> None:
    """Another attempt, unless the attempts are used up. refused: the fault will not go away."""
    attempts, now = claim.operation.attempts, on.clock()
    excused = isinstance(fault, NOT_ITS_OWN) and now - claim.operation.created_at < policy.patience
    objects: list[str] = []
    with on.database.transaction() as tx:
        tx.subjects.key(claim.operation.subject_id, lock=True)
        if not tx.operations.holds(claim):
            return
        if excused:
            # An hour without the store must not use up anybody's attempts.
            tx.operations.requeue(claim, now=now, due=now + policy.excused_backoff, refund=True)
        elif refused:
            tx.operations.finish(claim, state=OperationState.FAILED, now=now, problem=_problem(fault))
            objects = forget_selfies(claim.operation, tx, on)
            code = _problem(fault).code
            emit(tx, operation_ended(claim.operation, OperationState.FAILED, problem=code), now=now)
        elif attempts < policy.attempts:
            tx.operations.requeue(claim, now=now, due=now + wait_after(attempts, first=policy.backoff))
        else:
            tx.operations.finish(
                claim, state=OperationState.FAILED, now=now, problem=_problem(fault), dead=True
            )
            code = _problem(fault).code
            emit(tx, operation_ended(claim.operation, OperationState.FAILED, problem=code), now=now)
    delete_doomed(objects, on=on)
    queue.ring()


def forget_selfies(operation: Operation, tx: Transaction, on: Stores) -> list[str]:
    """Let go of the selfies unless consent keeps them; the objects to delete after the commit."""
    if operation.keep_selfies:
        return []
    keys = [s.object_key for s in tx.selfies.of(operation.operation_id)]
    tx.selfies.forget(operation.operation_id)
    tx.loose_objects.doom(keys, now=on.clock())
    return keys


def _problem(fault: Exception) -> Problem:
    if isinstance(fault, ReconError):
        return Problem(fault.code, fault.detail, fault.next_step)
    # The text of an unforeseen exception may hold anything: it goes to the log's stack trace at most, not
    # to the caller.
    return Problem("internal-fault", "The enrollment failed for a reason that is ours.", "Enroll again.")
