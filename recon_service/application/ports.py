"""What the use cases need from outside, as protocols: database, object store, vault, queue, compute.
Adapters fulfill them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from recon_service.application.records import (
    ApiKey,
    AuditEntry,
    AuditHead,
    Claim,
    DeletionReceipt,
    EnrollmentOutcome,
    Erasure,
    FailureCounter,
    FailureKind,
    Lane,
    Operation,
    OperationState,
    Problem,
    QueueState,
    SealedTemplate,
    SelfieReport,
    StoredSelfie,
    WrappedKey,
)

if TYPE_CHECKING:  # the API process never loads what these modules need
    from recon_service.application.visits import KioskVisit, VerificationOutcome
    from recon_service.domain.errors import ReconError
    from recon_service.domain.evidence import SurfacePoints
    from recon_service.domain.faces import DetectedFace
    from recon_service.domain.images import Image
    from recon_service.domain.morphable_model import MorphableModel
    from recon_service.domain.reconstruction import ReconstructedFace
    from recon_service.domain.template import Template

Progress = Callable[[str, float], None]
"""Called with the stage's name and the share of the whole that is done, 0 to 1."""


class FaceReconstructor(Protocol):
    """A backend: pictures in, reconstructed faces out, and what a face says about the canonical model.

    Making one loads its model files: WeightsMissing, WeightsAltered or (non-commercial files that nobody
    allowed) WeightsNotAllowed, all of them WeightsUnavailable with the next step. Thread-safe.
    """

    @property
    def name(self) -> str: ...

    def reconstruct(
        self, items: Sequence[tuple[Image, DetectedFace | None]]
    ) -> tuple[tuple[ReconstructedFace, ...] | ReconError, ...]:
        """One outcome per item, in order, whatever else is in the batch: an item that fails, fails alone.

        With a face: that one. With None: every face that the backend's own detector finds, best first;
        empty where there is none.
        """
        ...

    def evidence(self, face: ReconstructedFace, model: MorphableModel) -> SurfacePoints:
        """The neutral face as evidence about the canonical model's identity. Raises WeightsUnavailable
        where the correspondence of the two models was not computed yet, with the command that does.
        """
        ...


class Subjects(Protocol):
    """Subjects and their data keys."""

    def enrolled_since(self) -> Iterator[tuple[str, datetime]]:
        """Every subject, with the moment it was made; in pages."""
        ...

    def add(self, key: WrappedKey, *, now: datetime) -> None: ...

    def key(self, subject_id: str, *, lock: bool = False) -> WrappedKey | None:
        """The subject's data key, None for a subject that does not exist. lock: nobody deletes it before
        this transaction ends.
        """
        ...

    def version(self, subject_id: str) -> int | None:
        """Grows with every change of the subject's templates. None: there is no such subject."""
        ...

    def erase(self, subject_id: str) -> Erasure | None:
        """Remove every row of the subject, the key first of all. None: there is no such subject."""
        ...


class Operations(Protocol):
    """The state of every job: the database is the truth, messages only carry ids."""

    def add(self, operation: Operation, selfies: Sequence[StoredSelfie]) -> None: ...

    def get(self, operation_id: str) -> Operation | None: ...

    def claim(self, operation_id: str, *, token: str, now: datetime, stale_before: datetime) -> Claim | None:
        """Take a queued operation, or a running one whose worker has been silent since ``stale_before``.
        Atomic; None: not to be had.
        """
        ...

    def report(self, claim: Claim, *, stage: str, progress: float, now: datetime) -> bool:
        """Write progress, which is also the sign of life. False: the claim is no longer ours."""
        ...

    def beat(self, claim: Claim, *, now: datetime) -> bool:
        """A sign of life without news. False: the claim is no longer ours."""
        ...

    def holds(self, claim: Claim) -> bool:
        """Whether the claim is still ours; locks the row until the transaction ends."""
        ...

    def finish(
        self,
        claim: Claim,
        *,
        state: OperationState,
        now: datetime,
        selfies: Sequence[SelfieReport] = (),
        template_id: str | None = None,
        problem: Problem | None = None,
        dead: bool = False,
    ) -> None:
        """dead: given up for a fault of ours; it may be revived."""
        ...

    def requeue(
        self, claim: Claim, *, now: datetime, due: datetime | None = None, refund: bool = False
    ) -> None:
        """Give it back for another attempt, not before ``due``. refund: this attempt does not count."""
        ...

    def requeue_running(self, *, now: datetime, stale_before: datetime | None) -> int:
        """Every running operation silent since ``stale_before`` (None: every one) is queued again; how
        many.
        """
        ...

    def queued(self) -> list[str]:
        """Ids of all queued operations, oldest first."""
        ...

    def unpublished(self, *, now: datetime, limit: int, lock: bool = True) -> list[tuple[str, Lane]]:
        """Queued operations that are due and of which the broker knows nothing, oldest first. lock: for this
        transaction alone, without those that another one has locked.
        """
        ...

    def mark_published(self, operation_ids: Sequence[str], *, now: datetime) -> None: ...

    def unpublish(self, *, published_before: datetime | None, now: datetime) -> int:
        """Take the messages of queued operations for lost, those published before that moment or (None) all;
        how many.
        """
        ...

    def queue_state(self, lane: Lane, *, now: datetime) -> QueueState: ...

    def oldest_queued(self, lane: Lane) -> datetime | None:
        """Since when the operation that waits longest has been waiting."""
        ...

    def dead(self, *, limit: int) -> list[Operation]:
        """Operations that were given up, newest first."""
        ...

    def revive(self, operation_id: str, *, now: datetime) -> bool:
        """A dead operation is queued again, with all its attempts. False: it is not dead."""
        ...

    def bury(self, *, dead_before: datetime, limit: int) -> list[str]:
        """Dead operations stay failed for good; their ids."""
        ...


class Selfies(Protocol):
    """Where the encrypted selfies lie."""

    def of(self, operation_id: str) -> list[StoredSelfie]: ...

    def forget(self, operation_id: str) -> None: ...

    def object_keys(self) -> set[str]:
        """Every object that a row still speaks of."""
        ...


class LooseObjects(Protocol):
    """Objects in the store that no other row owns: uploads under way, and those to be deleted."""

    def begin(self, keys: Sequence[str], *, now: datetime) -> None:
        """These objects are about to be written."""
        ...

    def adopt(self, keys: Sequence[str]) -> bool:
        """Another row owns them from now on. False: not all were still to be had, nothing may be adopted."""
        ...

    def doom(self, keys: Sequence[str], *, now: datetime) -> None:
        """These objects are to be deleted, whether they were listed or not."""
        ...

    def doom_stale(self, *, begun_before: datetime, now: datetime) -> int:
        """Uploads that nobody will finish are to be deleted; how many objects."""
        ...

    def doomed(self, *, limit: int) -> list[str]: ...

    def drop(self, keys: Sequence[str]) -> None:
        """They are gone from the store."""
        ...


class Templates(Protocol):
    """Encrypted templates."""

    def add(self, template: SealedTemplate) -> None:
        """Raises Conflict when the operation already has one."""
        ...

    def of_subject(self, subject_id: str) -> list[SealedTemplate]:
        """Newest first."""
        ...

    def get(self, subject_id: str, template_id: str) -> SealedTemplate | None: ...


class IdempotencyState(StrEnum):
    """What a reservation of an Idempotency-Key met."""

    NEW = "new"
    IN_FLIGHT = "in-flight"
    REPLAY = "replay"
    OTHER_CONTENT = "other-content"


@dataclass(frozen=True, slots=True)
class Reservation:
    """state NEW: go on, and complete or release it. REPLAY: the operation that the first request made."""

    state: IdempotencyState
    operation_id: str | None = None


class Idempotency(Protocol):
    """Which request each Idempotency-Key stands for, per API key."""

    def reserve(
        self, *, api_key_id: str, key: str, digest: str, subject_id: str, now: datetime
    ) -> Reservation: ...

    def complete(self, *, api_key_id: str, key: str, operation_id: str) -> None: ...

    def release(self, *, api_key_id: str, key: str) -> None: ...

    def expire(self, *, now: datetime) -> int:
        """Drop what is older than a day; how many."""
        ...

    def release_in_flight(self) -> int:
        """Drop the reservations that no living process can complete; how many."""
        ...


class ApiKeys(Protocol):
    """API keys without their secrets."""

    def add(self, key: ApiKey) -> None: ...

    def get(self, key_id: str) -> ApiKey | None: ...

    def all(self) -> list[ApiKey]: ...

    def revoke(self, key_id: str, *, now: datetime) -> bool: ...


class Receipts(Protocol):
    """Receipts of deletions."""

    def add(self, receipt: DeletionReceipt) -> None: ...

    def get(self, receipt_id: str) -> DeletionReceipt | None: ...

    def unexported(self, *, limit: int) -> list[DeletionReceipt]:
        """Whose tombstones are not in the object store yet."""
        ...

    def ids(self) -> set[str]:
        """Of every receipt."""
        ...

    def mark_exported(self, receipt_id: str, *, now: datetime) -> None: ...


class AuditLog(Protocol):
    """What was done, in order, each entry chained to the one before."""

    def head(self, *, lock: bool = False) -> AuditHead | None:
        """The end. lock: nobody else adds an entry before this transaction ends. None: it was removed."""
        ...

    def add(self, entry: AuditEntry) -> None: ...

    def entries(
        self, *, after: int = 0, subject: str | None = None, action: str | None = None
    ) -> Iterator[AuditEntry]:
        """In order."""
        ...


class Limits(Protocol):
    """Counters that hold for all processes together."""

    def take_requests(
        self, name: str, count: int, *, limit: int, window: timedelta, now: datetime
    ) -> tuple[int, datetime]:
        """Up to ``count`` requests of the current window; how many are granted, and when it ends."""
        ...

    def failures(self, kind: FailureKind, name: str, *, now: datetime) -> FailureCounter:
        """Locked until the transaction ends."""
        ...

    def set_failures(self, counter: FailureCounter) -> None: ...

    def locked(self, *, now: datetime) -> list[FailureCounter]: ...

    def forget(self, *, before: datetime) -> int: ...


class WrappedKeys(Protocol):
    """Every key that a master key wraps."""

    def service_key(self, name: str, *, lock: bool = False) -> WrappedKey | None: ...

    def add_service_key(self, name: str, key: WrappedKey) -> None: ...

    def remove_service_key(self, name: str) -> None: ...

    def not_wrapped_by(self, master_key_id: str, *, limit: int) -> list[WrappedKey]: ...

    def rewrap(self, key: WrappedKey) -> None: ...

    def count_by_master(self) -> dict[str, int]: ...


class Transaction(Protocol):
    """Everything in the database, within one transaction."""

    @property
    def subjects(self) -> Subjects: ...
    @property
    def operations(self) -> Operations: ...
    @property
    def selfies(self) -> Selfies: ...
    @property
    def loose_objects(self) -> LooseObjects: ...
    @property
    def templates(self) -> Templates: ...
    @property
    def idempotency(self) -> Idempotency: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def receipts(self) -> Receipts: ...
    @property
    def audit(self) -> AuditLog: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def wrapped_keys(self) -> WrappedKeys: ...


class Database(Protocol):
    """Transactions: committed when the block ends, rolled back when it raises. Technical failures come out
    as StorageFault.
    """

    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """For reading only; does not wait for writers."""
        ...

    def check(self) -> None:
        """Raises StorageFault unless the database answers."""
        ...


class ObjectStore(Protocol):
    """Bytes under keys like ``selfies/op_…/0-…``. Keys are made of [a-z0-9_./-], never of what a caller
    sent.
    """

    def put(self, key: str, content: bytes) -> None:
        """Durable when it returns; never half there. Overwrites."""
        ...

    def get(self, key: str) -> bytes:
        """Raises NotFound."""
        ...

    def delete(self, key: str) -> bool:
        """False when there was nothing."""
        ...

    def list_keys(self, prefix: str = "") -> Iterator[str]:
        """In lexical order."""
        ...

    def check(self) -> None:
        """Raises StorageFault unless a write would succeed."""
        ...


class SubjectCipher(Protocol):
    """Encryption with one subject's data key. place: table or kind of object, row: its id; both are
    authenticated.
    """

    def seal(self, content: bytes, *, place: str, row: str) -> bytes: ...

    def open(self, sealed: bytes, *, place: str, row: str) -> bytes:
        """Raises StorageFault when the bytes are not those that were sealed for this subject, place and
        row.
        """
        ...


class Vault(Protocol):
    """The master key's work."""

    @property
    def master_key_id(self) -> str:
        """Of the key that wraps what is made now."""
        ...

    @property
    def accepted_master_key_ids(self) -> frozenset[str]:
        """Of all the keys that open what they wrapped."""
        ...

    def rewrapped(self, key: WrappedKey) -> WrappedKey:
        """The same data key, wrapped by the current master key. Raises StorageFault."""
        ...

    def new_key(self, subject_id: str) -> WrappedKey: ...

    def cipher(self, key: WrappedKey) -> SubjectCipher:
        """Raises StorageFault when the key does not unwrap for this subject."""
        ...

    def digest(self, purpose: str, *parts: bytes) -> str:
        """Keyed hash, hex; equal parts give equal digests for one purpose only."""
        ...


class TemplateFormat(Protocol):
    """Templates as bytes and back."""

    def write(self, template: Template) -> bytes: ...

    def read(self, content: bytes) -> Template:
        """Raises StorageFault for bytes that are not a template."""
        ...


class JobQueue(Protocol):
    """Publishes ids; the state of the job is in the database."""

    def ring(self) -> None:
        """Something waits in the outbox. Called after the commit; never waits, never fails."""
        ...

    def publish_enrollment(self, operation_id: str, lane: Lane) -> None:
        """For the relay of the outbox. Raises StorageUnavailable."""
        ...

    def waiting(self) -> int | None:
        """Messages that no worker has taken; None: cannot be known. Raises StorageUnavailable."""
        ...


class Compute(Protocol):
    """The heavy part of the use cases, wherever it runs."""

    def reconstruct(
        self, selfies: Sequence[bytes], progress: Progress, *, backend: str
    ) -> EnrollmentOutcome: ...

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]: ...

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome: ...

    def mesh(self, template: Template) -> bytes:
        """The neutral face as binary glTF."""
        ...


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Stores:
    """What every use case that keeps something stands on; made once by the composition root."""

    database: Database
    objects: ObjectStore
    vault: Vault
    template_format: TemplateFormat
    clock: Callable[[], datetime] = utc_now
