"""Asking for an enrollment: check -> list the objects -> encrypt and store the selfies -> insert the subject
and the operation -> acknowledge. Running it is in ``enrollment_runs.py``.

An acknowledged enrollment is in the database before the caller hears of it, and the row is its own outbox:
no broker is needed to take an enrollment, and none can lose it. A subject comes in the transaction of its
first enrollment, so no crash leaves one of whom nothing is stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recon_service.application.enrolling.operations import get_operation
from recon_service.application.errors import (
    IdempotencyKeyReused,
    QueueFull,
    RequestInFlight,
)
from recon_service.application.keeping.audit import SERVICE, operation_digest, record
from recon_service.application.keeping.objects import delete_doomed
from recon_service.application.keeping.selfies import selfie_rows, store_selfies
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.queue import JobQueue
from recon_service.application.ports.requests import IdempotencyState, Reservation
from recon_service.application.ports.stores import Stores
from recon_service.application.records.consents import Consent
from recon_service.application.records.identifiers import (
    check_consent_id,
    check_idempotency_key,
    check_subject_id,
    new_id,
)
from recon_service.application.records.operations import (
    BACKENDS,
    LANDMARKS_ALONE,
    MAX_SELFIES,
    Lane,
    Operation,
    OperationState,
    StoredSelfies,
)
from recon_service.application.records.subjects import WrappedKey
from recon_service.domain.errors import Conflict, InvalidValue, StorageFault, UnknownBackend

ANSWER_PLACE = "answers"
RACES = 5
"""How often two requests that make the same row at the same moment are sorted out before one is refused."""


@dataclass(frozen=True, slots=True)
class EnrollmentRequest:
    """What the mobile app sends. api_key_id: whose Idempotency-Keys are meant. batch: nobody waits for it.
    backend: whose mesh adds to the evidence. traceparent: of the request; no part of its content.
    consent_expires_at: when what the enrollment gives has to go; None: the consent names no end. keep_probes:
    what verifications of the subject see may be kept for a while. Raises UnknownBackend, InvalidValue.
    """

    subject_id: str
    selfies: tuple[bytes, ...] = field(repr=False)
    consent_id: str
    keep_selfies: bool = False
    keep_evidence: bool = False
    idempotency_key: str | None = None
    api_key_id: str = ""
    batch: bool = False
    backend: str = LANDMARKS_ALONE
    traceparent: str = ""
    consent_expires_at: datetime | None = None
    keep_probes: bool = False

    def __post_init__(self) -> None:
        check_subject_id(self.subject_id)
        if self.backend not in BACKENDS:
            raise UnknownBackend(
                f"there is no reconstruction backend {self.backend[:40]!r}",
                next_step=f"There are: {', '.join(BACKENDS)}.",
            )
        if not 1 <= len(self.selfies) <= MAX_SELFIES:
            raise InvalidValue(
                f"an enrollment takes 1 to {MAX_SELFIES} selfies, not {len(self.selfies)}",
                next_step="Send each picture as a part named 'selfies'.",
            )
        if not all(self.selfies):
            raise InvalidValue("a selfie is empty", next_step="Send the bytes of the picture file.")
        check_consent_id(self.consent_id)
        if self.consent_expires_at is not None and self.consent_expires_at.tzinfo is None:
            raise InvalidValue(
                "consent_expires_at needs a time zone", next_step="For example: 2027-03-01T00:00:00Z"
            )
        if self.idempotency_key is not None:
            check_idempotency_key(self.idempotency_key)

    @property
    def lane(self) -> Lane:
        """The queue that it waits in."""
        return Lane.BATCH if self.batch else Lane.INTERACTIVE


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The enrollment is on record. replayed: it was so before this request came, and ``answer`` is what was
    said then.
    """

    operation: Operation
    replayed: bool = False
    answer: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Making:
    """An enrollment that is not on record yet."""

    request: EnrollmentRequest
    operation_id: str
    stored: Sequence[StoredSelfies]
    reservation: Reservation | None
    answer: Callable[[Operation], bytes] | None
    also: Callable[[Transaction, Operation], None]


def request_enrollment(
    request: EnrollmentRequest,
    *,
    on: Stores,
    queue: JobQueue,
    budget: timedelta | None = None,
    answer: Callable[[Operation], bytes] | None = None,
    also: Callable[[Transaction, Operation], None] = lambda tx, operation: None,
) -> Acknowledged:
    """Put an enrollment on record. budget: when others have waited longer, none is taken. answer: what the
    caller will be told; kept with the Idempotency-Key, for a repeated request to be told the same. also: done
    in the transaction that puts it on record; where it raises, there is no enrollment.

    Raises IdempotencyKeyReused, RequestInFlight, Conflict (the subject is being deleted at this moment),
    QueueFull, StorageFault.
    """
    if request.consent_expires_at is not None and request.consent_expires_at <= on.clock():
        raise InvalidValue("the consent has ended already", next_step="Ask the person for a new one.")
    operation_id = new_id("op")
    stored = selfie_rows(operation_id)
    reservation, key = _open_request(request, stored, budget, on)
    if reservation is not None and reservation.operation_id is not None:
        return _replayed(reservation, reservation.operation_id, key, on)
    making = _Making(request, operation_id, stored, reservation, answer, also)
    try:
        operation = _store(making, key, on)
    except BaseException:
        # What cannot be withdrawn now is listed, and the sweeper finds it.
        with contextlib.suppress(StorageFault):
            _withdraw(making, on)
        raise
    queue.ring()
    return Acknowledged(operation)


def _replayed(earlier: Reservation, operation_id: str, key: WrappedKey | None, on: Stores) -> Acknowledged:
    said = None
    if earlier.answer is not None and key is not None:
        said = on.vault.cipher(key).open(earlier.answer, place=ANSWER_PLACE, row=operation_id)
    return Acknowledged(get_operation(operation_id, on=on), replayed=True, answer=said)


def _open_request(
    request: EnrollmentRequest, stored: Sequence[StoredSelfies], budget: timedelta | None, on: Stores
) -> tuple[Reservation | None, WrappedKey | None]:
    """Reserve the Idempotency-Key, and list the objects that are about to be written. The reservation, None
    without an Idempotency-Key, and the subject's data key, None where there is no such subject yet.
    """
    # Of all selfies: not while others wait for the transaction.
    digest = _digest(request, on) if request.idempotency_key is not None else ""
    for race in range(RACES):
        try:
            with on.database.transaction() as tx:
                reservation = _reserve(request, digest, tx, on)
                if reservation is None or reservation.state is IdempotencyState.NEW:
                    _check_budget(request.lane, budget, tx, on)
                    tx.loose_objects.begin([s.object_key for s in stored], now=on.clock())
                return reservation, tx.subjects.key(request.subject_id)
        except RequestInFlight:
            raise
        except Conflict:
            # Another request made the same reservation at this moment: now it is there.
            if race == RACES - 1:
                raise
    raise AssertionError("unreachable")


def _store(making: _Making, known: WrappedKey | None, on: Stores) -> Operation:
    """known: the subject's key; None: the subject comes with this enrollment. Where another one of the same
    subject was faster, the selfies are stored once more, under the key that is there now.
    """
    if known is None:
        made = on.vault.new_key(making.request.subject_id)
        try:
            store_selfies(making.request.selfies, making.stored, made, on=on)
            return _record(making, made, on, first=True)
        except RequestInFlight:
            raise
        except Conflict:
            with on.database.snapshot() as tx:
                known = tx.subjects.key(making.request.subject_id)
            if known is None or known.key_id == made.key_id:
                raise
    store_selfies(making.request.selfies, making.stored, known, on=on)
    return _record(making, known, on, first=False)


def _reserve(request: EnrollmentRequest, digest: str, tx: Transaction, on: Stores) -> Reservation | None:
    if request.idempotency_key is None:
        return None
    reservation = tx.idempotency.reserve(
        api_key_id=request.api_key_id,
        key=request.idempotency_key,
        digest=digest,
        subject_id=request.subject_id,
        now=on.clock(),
    )
    if reservation.state is IdempotencyState.OTHER_CONTENT:
        raise IdempotencyKeyReused(
            "this Idempotency-Key was used for a request with other content",
            next_step="Make a new key for every new enrollment; repeat a request unchanged.",
        )
    if reservation.state is IdempotencyState.IN_FLIGHT:
        raise _in_flight()
    return reservation


def _in_flight() -> RequestInFlight:
    return RequestInFlight("the same request is still being served", next_step="Repeat it in a second.")


def _check_budget(lane: Lane, budget: timedelta | None, tx: Transaction, on: Stores) -> None:
    if budget is None:
        return
    oldest = tx.operations.oldest_queued(lane)
    if oldest is not None and on.clock() - oldest > budget:
        raise QueueFull(
            f"enrollments have been waiting for more than {budget.total_seconds():.0f} seconds",
            next_step="Send the request again after the time in Retry-After.",
        )


def _digest(request: EnrollmentRequest, on: Stores) -> str:
    words = [request.subject_id, request.consent_id, str(request.keep_selfies), request.lane.value]
    if request.backend != LANDMARKS_ALONE:  # a digest of before there were others stays what it was
        words.append(request.backend)
    if request.keep_evidence:
        words.append("keep-evidence")
    if request.keep_probes:
        words.append("keep-probes")
    if request.consent_expires_at is not None:
        words.append(f"until {request.consent_expires_at.isoformat()}")
    return on.vault.digest("idempotency", *(w.encode() for w in words), *request.selfies)


def _record(making: _Making, key: WrappedKey, on: Stores, *, first: bool) -> Operation:
    """first: the key is new, and so is its subject."""
    now, request, reservation = on.clock(), making.request, making.reservation
    operation = Operation(
        operation_id=making.operation_id,
        subject_id=request.subject_id,
        state=OperationState.QUEUED,
        consent_id=request.consent_id,
        keep_selfies=request.keep_selfies,
        keep_evidence=request.keep_evidence,
        created_at=now,
        updated_at=now,
        lane=request.lane,
        backend=request.backend,
        traceparent=request.traceparent,
    )
    with on.database.transaction() as tx:
        current = tx.subjects.key(request.subject_id, lock=True)
        if first and current is None:
            tx.subjects.add(key, now=now)
        elif current is None or current.key_id != key.key_id:
            raise Conflict(
                "the subject was deleted while the request was served", next_step="Send the request again."
            )
        if not tx.loose_objects.adopt([s.object_key for s in making.stored]):
            raise Conflict("the request took too long", next_step="Send the request again.")
        tx.operations.add(operation, making.stored)
        tx.consents.add(
            Consent(
                new_id("cns"),
                request.subject_id,
                operation.operation_id,
                request.consent_id,
                now,
                request.consent_expires_at,
                keep_probes=request.keep_probes,
            )
        )
        if request.idempotency_key is not None and reservation is not None:
            said = making.answer(operation) if making.answer is not None else None
            if not tx.idempotency.complete(
                api_key_id=request.api_key_id,
                key=request.idempotency_key,
                since=reservation.since,
                operation_id=operation.operation_id,
                answer=said
                and on.vault.cipher(key).seal(said, place=ANSWER_PLACE, row=operation.operation_id),
            ):
                # Storing took so long, or the clock jumped, that a repetition of the request was let in: one
                # of the two may enroll, and that one has the key now.
                raise _in_flight()
        making.also(tx, operation)
        record(
            tx,
            on=on,
            action="enrollment.asked",
            actor=request.api_key_id or SERVICE,
            subject_id=request.subject_id,
            object_id=operation_digest(operation.operation_id, on=on),
            outcome=[
                *(["keep-selfies"] if request.keep_selfies else []),
                *(["keep-evidence"] if request.keep_evidence else []),
                *(["keep-probes"] if request.keep_probes else []),
            ],
        )
    return operation


def _withdraw(making: _Making, on: Stores) -> None:
    keys, request, reservation = [s.object_key for s in making.stored], making.request, making.reservation
    with on.database.transaction() as tx:
        # Before the look: where the server still works on a commit whose confirmation was lost, its locks on
        # these rows are waited for, and the look finds what it put on record.
        tx.loose_objects.drop(keys)
        if tx.operations.get(making.operation_id) is not None:
            return
        tx.loose_objects.doom(keys, now=on.clock())
        if request.idempotency_key is not None and reservation is not None:
            tx.idempotency.release(
                api_key_id=request.api_key_id, key=request.idempotency_key, since=reservation.since
            )
    delete_doomed(keys, on=on)
