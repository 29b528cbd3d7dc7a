"""The bodies of capture sessions, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import AwareDatetime, Field

from recon_service.api.schemas import Asked, Body, ProblemNote, problem_note
from recon_service.api.schemas_fields import WantedConsent, WantedSubject
from recon_service.api.schemas_selfies import SelfieBody, selfie_body
from recon_service.application.enrolling.capture_tokens import OpenCapture
from recon_service.application.records.captures import MAX_ATTEMPTS, CaptureState, Language
from recon_service.application.records.operations import Operation, OperationState

EXAMPLE_ID: Final = "cap_1f0e2d3c4b5a69788796a5b4c3d2e1f0"


class CaptureWishBody(Asked):
    """What an app's back end asks for."""

    subject_id: WantedSubject
    consent_id: WantedConsent
    keep_selfies: bool = Field(
        False, description="Keep the pictures, encrypted: only where the consent says so."
    )
    keep_evidence: bool = Field(
        False,
        description="Keep what was seen in the pictures, without them, encrypted, for later models: only "
        "where the consent says so.",
    )
    keep_probes: bool = Field(
        False,
        description="Keep what recent verifications saw, encrypted and for a while: only where the consent "
        "says so.",
    )
    consent_expires_at: AwareDatetime | None = Field(
        None,
        description="When the consent ends, with its time zone, later than the link does; then all of the "
        "subject is destroyed. Null: the consent names no end.",
    )
    language: Language | None = Field(None, description="Language of the page; null: as the browser asks.")
    return_url: str = Field(
        "",
        max_length=1000,
        examples=["https://app.example/enrolled"],
        description="Where the page sends the person at the end; its beginning must be among "
        "RECON_CAPTURE_RETURN_URLS. Empty: nowhere.",
    )
    minutes: float = Field(30, ge=1, le=1440, allow_inf_nan=False, description="Minutes until the link ends.")


class CaptureMadeBody(Body):
    """A link to the page that enrolls one subject, once."""

    session_id: str = Field(description="Names the session, in the audit log too; no secret.")
    url: str = Field(
        description="The link, for the person's browser alone. What follows the # is the secret."
    )
    expires_at: datetime = Field(description="When the link ends, unless its enrollment succeeds before.")


class CaptureOperationBody(Body):
    """How far the session's enrollment is."""

    state: OperationState = Field(
        description="Where it stands. `rejected`: the pictures were not good enough, or do not show one "
        "person."
    )
    stage: str = Field(
        description="What is being done: `queued`, `started`, `decoding`, `assessing`, `fitting`, `storing`, "
        "`done`."
    )
    progress: float = Field(ge=0, le=1, description="Share that is done, 0 to 1.")
    selfies: list[SelfieBody] = Field(
        description="What is said about each frame, in the order of their numbers; empty until they were "
        "looked at."
    )
    problem: ProblemNote | None = Field(
        description="Why it was rejected as a whole or has failed; null: no such reason."
    )


class CaptureBody(Body):
    """Where a session stands, for the page."""

    state: CaptureState = Field(
        description="`open`: takes frames. `working`: an enrollment is under way. `done`: it succeeded, and "
        "the session is used up. `spent`: every attempt failed."
    )
    language: Language | None = Field(description="Language of the page; null: as the browser asks.")
    return_url: str = Field(description="Where the page sends the person at the end; empty: nowhere.")
    expires_at: datetime = Field(description="When the session ends.")
    frames: list[int] = Field(
        description="Numbers of the frames that were accepted and wait for the enrollment."
    )
    attempts_left: int = Field(description="How many further enrollments the session may start.")
    operation: CaptureOperationBody | None = Field(
        description="Its newest enrollment; null: none was started."
    )


CAPTURE_WISH: Final[dict[str, Any]] = {
    "subject_id": "user-8c41",
    "consent_id": "consent-2031",
    "language": "ko",
    "minutes": 15,
}
CAPTURE_MADE: Final[dict[str, Any]] = {
    "session_id": EXAMPLE_ID,
    "url": f"https://enroll.example/enroll/{EXAMPLE_ID}#qB1cT0e3l9Yk2mN4pR6sV8xZ0aC2eG4iK6mO8qS0uW2",
    "expires_at": "2026-03-04T10:15:00Z",
}
CAPTURE: Final[dict[str, Any]] = {
    "state": "working",
    "language": "ko",
    "return_url": "",
    "expires_at": "2026-03-04T10:15:00Z",
    "frames": [],
    "attempts_left": 4,
    "operation": {
        "state": "running",
        "stage": "fitting",
        "progress": 0.7,
        "selfies": [],
        "problem": None,
    },
}


def capture_body(capture: OpenCapture) -> CaptureBody:
    """On the wire."""
    session = capture.session
    return CaptureBody(
        state=capture.state,
        language=session.language,
        return_url=session.return_url,
        expires_at=session.expires_at,
        frames=list(capture.frames),
        attempts_left=MAX_ATTEMPTS - session.attempts,
        operation=_operation_body(capture.operation) if capture.operation else None,
    )


def _operation_body(operation: Operation) -> CaptureOperationBody:
    return CaptureOperationBody(
        state=operation.state,
        stage=operation.stage,
        progress=round(operation.progress, 3),
        selfies=[selfie_body(s) for s in operation.selfies],
        problem=problem_note(operation.problem),
    )
