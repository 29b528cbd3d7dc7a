"""What is kept of a capture session: the right of one person to take their own enrollment pictures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from recon_service.application.records.operations import Operation, OperationState

MAX_ATTEMPTS: Final = 5
"""So often may a session start an enrollment: a person tries again, a program does not try forever."""


class CaptureState(StrEnum):
    """Where a session stands. OPEN: takes frames. WORKING: an enrollment is under way. DONE: the enrollment
    succeeded and the session is used up. SPENT: all attempts failed.
    """

    OPEN = "open"
    WORKING = "working"
    DONE = "done"
    SPENT = "spent"


class Language(StrEnum):
    """Languages that the page speaks."""

    ENGLISH = "en"
    KOREAN = "ko"


@dataclass(frozen=True, slots=True)
class CaptureSession:
    """The right to enroll one subject once, held by whoever has the secret, of which only a SHA-256 is kept.

    language None: as the browser asks. attempts: enrollments that it has started. operation_id: the newest of
    them. api_key_id: whose session it is.
    """

    session_id: str
    secret_sha256: bytes = field(repr=False)
    subject_id: str
    consent_id: str
    keep_selfies: bool
    language: Language | None
    return_url: str
    api_key_id: str
    created_at: datetime
    expires_at: datetime
    attempts: int = 0
    operation_id: str | None = None
    keep_evidence: bool = False
    consent_expires_at: datetime | None = None
    keep_probes: bool = False

    def state(self, operation: Operation | None) -> CaptureState:
        """Given its newest operation (None: none, or it is gone)."""
        if operation is None:
            return CaptureState.OPEN if self.attempts < MAX_ATTEMPTS else CaptureState.SPENT
        if operation.state is OperationState.SUCCEEDED:
            return CaptureState.DONE
        if not operation.state.ended:
            return CaptureState.WORKING
        return CaptureState.OPEN if self.attempts < MAX_ATTEMPTS else CaptureState.SPENT

    def started(self, operation_id: str) -> CaptureSession:
        """With an enrollment under way."""
        return replace(self, operation_id=operation_id)


@dataclass(frozen=True, slots=True)
class SealedFrame:
    """A frame that waits for its enrollment, encrypted by a key that only the session's secret gives.

    number: its place in the session, from 0.
    """

    number: int
    sealed: bytes = field(repr=False)
