"""The audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done. subject: keyed digest of the subject's id, or empty. actor: id of an API key,
    or who else it was. object_id: what it was done to, beside the subject. outcome: a decision and its
    reasons by code, never anything biometric. digest: keyed, over the other fields and the entry before.
    """

    sequence: int
    at: datetime
    actor: str
    action: str
    subject: str = ""
    object_id: str = ""
    outcome: str = ""
    digest: str = ""

    def statement(self) -> tuple[bytes, ...]:
        """The fields that ``digest`` covers, in order."""
        values = (self.sequence, self.at.isoformat(), self.actor, self.action, self.subject)
        return tuple(str(value).encode() for value in (*values, self.object_id, self.outcome))


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of the log: number and digest of its last entry; 0 and empty for an empty log."""

    sequence: int
    digest: str
