"""Subjects' keys and what remains of those who were deleted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A subject's data key, encrypted by the master key named ``master_key_id``. key_id is random: a
    subject that was deleted and enrolled again has another one.
    """

    key_id: str
    subject_id: str
    master_key_id: str
    wrapped: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Erasure:
    """What a deletion removed from the database, and the objects that must go with it. enrolled_at: when the
    subject came to be, by the clock of then.
    """

    templates: int
    operations: int
    object_keys: tuple[str, ...]
    enrolled_at: datetime


@dataclass(frozen=True, slots=True)
class DeletionReceipt:
    """Proof of a deletion. subject_digest: keyed hash of the subject's id, so that the receipt itself names
    nobody. authentication: keyed hash over the other fields.
    """

    receipt_id: str
    subject_digest: str
    deleted_at: datetime
    templates: int
    operations: int
    objects: int
    keys: int
    authentication: str = ""

    def statement(self) -> tuple[bytes, ...]:
        """The fields that ``authentication`` covers, in order."""
        values = (
            self.receipt_id,
            self.subject_digest,
            self.deleted_at.isoformat(),
            self.templates,
            self.operations,
        )
        return tuple(str(value).encode() for value in (*values, self.objects, self.keys))
