"""Subjects, what is done for them and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from recon_service.application.records.operations import (
    Claim,
    Lane,
    Operation,
    OperationState,
    Problem,
    QueueState,
    SelfieReport,
    StoredSelfies,
)
from recon_service.application.records.subjects import Erasure, WrappedKey
from recon_service.application.records.templates import SealedTemplate


class Subjects(Protocol):
    """Subjects and their data keys."""

    def enrolled_since(self) -> Iterator[tuple[str, datetime]]:
        """Every subject, with the moment it was made; in pages."""
        ...

    def page(self, *, after: str, limit: int) -> list[tuple[str, datetime]]:
        """Subjects with the moment each was made, in the order of their ids, from after that one."""
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

    def add(self, operation: Operation, selfies: Sequence[StoredSelfies]) -> None:
        """The last of its subject's, who is locked by the caller (``Subjects.key``)."""
        ...

    def get(self, operation_id: str) -> Operation | None: ...

    def versions(self, operation_ids: Sequence[str]) -> dict[str, int]:
        """Of those that are there."""
        ...

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

    def overtaken(self, operation_id: str) -> bool:
        """Whether an enrollment that was asked for later has a template that is or was in force. The subject
        is locked by the caller (``Subjects.key``).
        """
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

    def bring_forward(self, *, now: datetime, latest: datetime) -> int:
        """Queued operations that are due after ``latest``, which only a clock that was ahead can have said,
        are due now; how many.
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

    def outcomes(self, *, since: datetime) -> dict[OperationState, int]:
        """How many ended since that moment, by how."""
        ...

    def of_subject(self, subject_id: str, *, limit: int) -> list[Operation]:
        """Newest first."""
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

    def of(self, operation_id: str) -> list[StoredSelfies]: ...

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
    """Encrypted templates: the versions of each subject's reference."""

    def add(self, template: SealedTemplate) -> None:
        """As it stands. Raises Conflict when the operation already has one, or the subject an active one."""
        ...

    def activate(self, subject_id: str, template_id: str, *, now: datetime) -> bool:
        """It takes the place of the active one, which retires. False: the subject has no such template. The
        subject is locked by the caller (``Subjects.key``).
        """
        ...

    def active(self, subject_id: str) -> SealedTemplate | None:
        """The one that verifications use."""
        ...

    def of_subject(self, subject_id: str) -> list[SealedTemplate]:
        """Newest first."""
        ...

    def get(self, subject_id: str, template_id: str) -> SealedTemplate | None: ...

    def destroy_retired(self, *, retired_before: datetime, limit: int) -> list[tuple[str, str]]:
        """Remove what retired before that moment; subject and template of each."""
        ...
