"""Enrollments over their whole life: accepted, queued, run by a worker, ended once.

request: check -> encrypt and store the selfies -> insert the operation -> publish its id -> acknowledge
run:     claim -> decrypt the selfies -> reconstruct -> template and end of the operation in one
transaction -> drop the selfies

An acknowledged enrollment is in the database before the caller hears of it. The run may be repeated at
any point: nothing but the last transaction has an effect that anybody sees, and only the holder of the
newest claim gets it through.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from recon_service.application.errors import IdempotencyKeyReused, PayloadTooLarge, RequestInFlight
from recon_service.application.operations import get_operation, progress_to_database
from recon_service.application.ports import Compute, IdempotencyState, JobQueue, Stores, Transaction
from recon_service.application.records import (
    Claim,
    EnrollmentOutcome,
    Operation,
    OperationState,
    Problem,
    SealedTemplate,
    StoredSelfie,
    WrappedKey,
    new_id,
)
from recon_service.domain.errors import CallerError, Conflict, InvalidValue, NotFound, ReconError
from recon_service.domain.template import Provenance, Template

MAX_SELFIES = 10
SELFIE_PLACE = "selfies"
TEMPLATE_PLACE = "templates"
_SUBJECT_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class EnrollmentRequest:
    """What the mobile app sends. api_key_id: whose Idempotency-Keys are meant."""

    subject_id: str
    selfies: tuple[bytes, ...] = field(repr=False)
    consent_id: str
    keep_selfies: bool = False
    idempotency_key: str | None = None
    api_key_id: str = ""

    def __post_init__(self) -> None:
        check_subject_id(self.subject_id)
        if not 1 <= len(self.selfies) <= MAX_SELFIES:
            raise InvalidValue(
                f"an enrollment takes 1 to {MAX_SELFIES} selfies, not {len(self.selfies)}",
                next_step="Send each picture as a part named 'selfies'.",
            )
        if not all(self.selfies):
            raise InvalidValue("a selfie is empty", next_step="Send the bytes of the picture file.")
        if not _PRINTABLE.fullmatch(self.consent_id):
            raise InvalidValue(
                "consent_id must be 1 to 200 printable characters without spaces",
                next_step="Send the id under which the consent is recorded.",
            )
        if self.idempotency_key is not None and not _PRINTABLE.fullmatch(self.idempotency_key):
            raise InvalidValue("an Idempotency-Key must be 1 to 200 printable characters without spaces")


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The enrollment is on record. replayed: it was so before this request came."""

    operation: Operation
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """attempts: claims until an operation is given up. silence: a worker that reports nothing for so long
    is taken for dead.
    """

    attempts: int = 3
    silence: timedelta = timedelta(seconds=300)


def check_subject_id(subject_id: str) -> None:
    """Raises InvalidValue unless it is 1 to 64 of the unreserved characters of a URL."""
    if not _SUBJECT_ID.fullmatch(subject_id):
        raise InvalidValue(
            "a subject id is 1 to 64 characters of A-Z, a-z, 0-9, '.', '_', '~' and '-'",
            next_step="Use a pseudonym of your own, never a name or an address.",
        )


def check_sizes(selfies: Sequence[bytes], *, max_bytes: int) -> None:
    """Raises PayloadTooLarge when a selfie is larger than ``max_bytes``."""
    if any(len(s) > max_bytes for s in selfies):
        raise PayloadTooLarge(f"a selfie is larger than {max_bytes} bytes", next_step="Send it scaled down.")


# ---- request --------------------------------------------------------------------------------


def request_enrollment(request: EnrollmentRequest, *, on: Stores, queue: JobQueue) -> Acknowledged:
    """Put an enrollment on record and its id into the queue.

    Raises IdempotencyKeyReused, RequestInFlight, Conflict (the subject is being deleted at this moment),
    StorageFault.
    """
    earlier, key = _open_request(request, on)
    if earlier is not None:
        return Acknowledged(get_operation(earlier, on=on), replayed=True)
    stored: list[StoredSelfie] = []
    operation_id = new_id("op")
    try:
        _store_selfies(request.selfies, operation_id, key, stored, on)
        operation = _record(request, operation_id, key, stored, on)
    except BaseException:
        _withdraw(request, stored, on)
        raise
    queue.publish_enrollment(operation.operation_id)
    return Acknowledged(operation)


def _open_request(request: EnrollmentRequest, on: Stores) -> tuple[str | None, WrappedKey]:
    """Reserve the Idempotency-Key and see to the subject's data key. The first value: the operation of an
    earlier request.
    """
    with on.database.transaction() as tx:
        earlier = None
        if request.idempotency_key is not None:
            reservation = tx.idempotency.reserve(
                api_key_id=request.api_key_id,
                key=request.idempotency_key,
                digest=_digest(request, on),
                subject_id=request.subject_id,
                now=on.clock(),
            )
            if reservation.state is IdempotencyState.OTHER_CONTENT:
                raise IdempotencyKeyReused(
                    "this Idempotency-Key was used for a request with other content",
                    next_step="Make a new key for every new enrollment; repeat a request unchanged.",
                )
            if reservation.state is IdempotencyState.IN_FLIGHT:
                raise RequestInFlight(
                    "the same request is still being served", next_step="Repeat it in a second."
                )
            earlier = reservation.operation_id
        key = tx.subjects.key(request.subject_id)
        if key is None:
            key = on.vault.new_key(request.subject_id)
            tx.subjects.add(key, now=on.clock())
        return earlier, key


def _digest(request: EnrollmentRequest, on: Stores) -> str:
    words = (request.subject_id, request.consent_id, str(request.keep_selfies))
    return on.vault.digest("idempotency", *(w.encode() for w in words), *request.selfies)


def _store_selfies(
    selfies: Sequence[bytes], operation_id: str, key: WrappedKey, stored: list[StoredSelfie], on: Stores
) -> None:
    cipher = on.vault.cipher(key)
    for ordinal, content in enumerate(selfies):
        selfie = StoredSelfie(
            operation_id, ordinal, f"{SELFIE_PLACE}/{operation_id}/{ordinal}-{secrets.token_hex(8)}"
        )
        stored.append(selfie)
        on.objects.put(selfie.object_key, cipher.seal(content, place=SELFIE_PLACE, row=selfie.object_key))


def _record(
    request: EnrollmentRequest, operation_id: str, key: WrappedKey, stored: Sequence[StoredSelfie], on: Stores
) -> Operation:
    now = on.clock()
    operation = Operation(
        operation_id=operation_id,
        subject_id=request.subject_id,
        state=OperationState.QUEUED,
        consent_id=request.consent_id,
        keep_selfies=request.keep_selfies,
        created_at=now,
        updated_at=now,
    )
    with on.database.transaction() as tx:
        current = tx.subjects.key(request.subject_id, lock=True)
        if current is None or current.key_id != key.key_id:
            raise Conflict(
                "the subject was deleted while the request was served", next_step="Send the request again."
            )
        tx.operations.add(operation, stored)
        if request.idempotency_key is not None:
            tx.idempotency.complete(
                api_key_id=request.api_key_id, key=request.idempotency_key, operation_id=operation_id
            )
    return operation


def _withdraw(request: EnrollmentRequest, stored: Sequence[StoredSelfie], on: Stores) -> None:
    for selfie in stored:
        on.objects.delete(selfie.object_key)
    if request.idempotency_key is not None:
        with on.database.transaction() as tx:
            tx.idempotency.release(api_key_id=request.api_key_id, key=request.idempotency_key)


# ---- run --------------------------------------------------------------------------------


def run_enrollment(
    operation_id: str, *, on: Stores, compute: Compute, queue: JobQueue, policy: JobPolicy
) -> Operation | None:
    """Do the work of one operation; None when there is nothing to do (ended, deleted, or another worker has
    it).

    A fault gives the operation back for another attempt, or ends it as failed after the last; the fault
    itself is raised for the log of the worker.
    """
    claim = _claim(operation_id, on, policy)
    if claim is None:
        return None
    try:
        selfies = _load_selfies(claim, on)
        outcome = compute.reconstruct(selfies, progress_to_database(claim, on=on))
        _keep(claim, outcome, on)
    except Exception as fault:
        if _deleted(claim, on):
            return None
        _give_back(claim, fault, on, queue, policy)
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
        _end_as_failed(
            claim, Problem("worker-lost", "The workers that took this enrollment did not survive it."), tx, on
        )
        objects = _forget_selfies(claim.operation, tx)
    _delete_objects(objects, on)
    return None


def _load_selfies(claim: Claim, on: Stores) -> list[bytes]:
    with on.database.snapshot() as tx:
        stored = tx.selfies.of(claim.operation.operation_id)
        key = tx.subjects.key(claim.operation.subject_id)
    if key is None or not stored:
        raise NotFound("the subject was deleted")
    cipher = on.vault.cipher(key)
    return [cipher.open(on.objects.get(s.object_key), place=SELFIE_PLACE, row=s.object_key) for s in stored]


def _keep(claim: Claim, outcome: EnrollmentOutcome, on: Stores) -> None:
    """The template and the end of the operation, in one transaction; then the selfies go, unless consent
    keeps them.
    """
    operation = claim.operation
    template = _template(operation, outcome, on)
    content = on.template_format.write(template) if template else b""
    with on.database.transaction() as tx:
        key = tx.subjects.key(operation.subject_id, lock=True)
        if key is None or not tx.operations.holds(claim):
            return  # deleted meanwhile, or taken over by another worker: theirs is the last word
        if template is not None:
            sealed = on.vault.cipher(key).seal(content, place=TEMPLATE_PLACE, row=template.template_id)
            tx.templates.add(_sealed_template(template, operation, sealed))
        objects = _forget_selfies(operation, tx)
        tx.operations.finish(
            claim,
            state=OperationState.SUCCEEDED if template else OperationState.REJECTED,
            now=on.clock(),
            selfies=outcome.selfies,
            template_id=template.template_id if template else None,
            problem=outcome.problem,
        )
    _delete_objects(objects, on)


def _template(operation: Operation, outcome: EnrollmentOutcome, on: Stores) -> Template | None:
    if outcome.posterior is None:
        return None
    used = sum(1 for s in outcome.selfies if s.accepted)
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
    )


def _sealed_template(template: Template, operation: Operation, sealed: bytes) -> SealedTemplate:
    return SealedTemplate(
        template_id=template.template_id,
        subject_id=template.subject_id,
        operation_id=operation.operation_id,
        model=template.model,
        source=template.source,
        calibration=template.calibration,
        quality=template.quality,
        created_at=template.created_at,
        sealed=sealed,
    )


def _deleted(claim: Claim, on: Stores) -> bool:
    return get_operation_or_none(claim.operation.operation_id, on) is None


def _give_back(claim: Claim, fault: Exception, on: Stores, queue: JobQueue, policy: JobPolicy) -> None:
    """Another attempt, unless the fault will not go away or the attempts are used up."""
    final = isinstance(fault, CallerError) or claim.operation.attempts >= policy.attempts
    objects: list[str] = []
    with on.database.transaction() as tx:
        if not tx.operations.holds(claim):
            return
        if not final:
            tx.operations.requeue(claim, now=on.clock())
        else:
            _end_as_failed(claim, _problem(fault), tx, on)
            objects = _forget_selfies(claim.operation, tx)
    _delete_objects(objects, on)
    if not final:
        queue.publish_enrollment(claim.operation.operation_id)


def _end_as_failed(claim: Claim, problem: Problem, tx: Transaction, on: Stores) -> None:
    tx.operations.finish(claim, state=OperationState.FAILED, now=on.clock(), problem=problem)


def _forget_selfies(operation: Operation, tx: Transaction) -> list[str]:
    """Drop the rows of the selfies unless consent keeps them; the objects to delete after the commit."""
    if operation.keep_selfies:
        return []
    keys = [s.object_key for s in tx.selfies.of(operation.operation_id)]
    tx.selfies.forget(operation.operation_id)
    return keys


def _delete_objects(keys: Sequence[str], on: Stores) -> None:
    """After the commit: whatever a crash leaves here is an orphan that the next start removes."""
    for key in keys:
        on.objects.delete(key)


def _problem(fault: Exception) -> Problem:
    if isinstance(fault, ReconError):
        return Problem(fault.code, fault.detail, fault.next_step)
    # The text of an unforeseen exception may hold anything: it goes to the log's stack trace at most, not
    # to the caller.
    return Problem("internal-fault", "The enrollment failed for a reason that is ours.", "Enroll again.")
