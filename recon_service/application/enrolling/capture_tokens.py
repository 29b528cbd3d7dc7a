"""Capture sessions: an app's back end lets one person take their own enrollment pictures.

make -> frames come in, each judged by the gate -> start the enrollment -> it succeeds, and the session is
used up. The secret goes to the person's browser and nowhere else: the database keeps its SHA-256, and the
frames that wait are encrypted by a key made from it, so that nobody can look at them without the person.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.enrolling.enrollment_runs import get_operation_or_none
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.enrolling.quality_checks import check_quality
from recon_service.application.keeping.audit import SERVICE, record
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.queue import JobQueue
from recon_service.application.ports.stores import Stores
from recon_service.application.ports.vault import SubjectCipher
from recon_service.application.records.captures import CaptureSession, CaptureState, Language, SealedFrame
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.operations import Operation, OperationState, SelfieReport
from recon_service.application.templates.subjects import template_mesh
from recon_service.domain.errors import Conflict, InvalidValue, NotFound, Unauthenticated

FRAME_PLACE: Final = "capture-frames"
MAX_FRAMES: Final = 10
MIN_FRAMES: Final = 3
"""Two pictures of a head say little about its depth; three with a turned head are the least worth keeping."""
SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(hours=24)
_TOKEN = re.compile(r"(cap_[0-9a-f]{32})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class CaptureWish:
    """What an app's back end asks for. Raises InvalidValue."""

    subject_id: str
    consent_id: str
    keep_selfies: bool = False
    keep_evidence: bool = False
    keep_probes: bool = False
    consent_expires_at: datetime | None = None
    language: Language | None = None
    return_url: str = ""
    lifetime: timedelta = timedelta(minutes=30)

    def __post_init__(self) -> None:
        # What the enrollment would refuse at its end is refused before the person takes a picture.
        EnrollmentRequest(
            self.subject_id,
            (b"-",),
            self.consent_id,
            consent_expires_at=self.consent_expires_at,
        )
        if not SHORTEST <= self.lifetime <= LONGEST:
            raise InvalidValue("a capture session lives from one minute to one day")


@dataclass(frozen=True, slots=True)
class NewCapture:
    """A session that was just made; the token is told once and cannot be had again."""

    session: CaptureSession
    token: str = field(repr=False)

    @property
    def path(self) -> str:
        """Of the page. The secret is behind the #: browsers send it to no server and in no Referer."""
        return f"/enroll/{self.session.session_id}#{self.token.partition('.')[2]}"


@dataclass(frozen=True, slots=True)
class OpenCapture:
    """A session whose secret was shown. frames: numbers of those that wait."""

    session: CaptureSession
    secret: str = field(repr=False)
    operation: Operation | None
    frames: tuple[int, ...]

    @property
    def state(self) -> CaptureState:
        """Where it stands."""
        return self.session.state(self.operation)

    @property
    def actor(self) -> str:
        """How the audit log calls who acts by it."""
        return f"capture:{self.session.session_id}"


def make_capture(
    wish: CaptureWish, *, on: Stores, api_key_id: str, return_urls: Sequence[str] = ()
) -> NewCapture:
    """Make a session. return_urls: prefixes of addresses that a session may send the person back to.

    Raises InvalidValue for another address.
    """
    if wish.return_url and not any(_within(wish.return_url, prefix) for prefix in return_urls):
        raise InvalidValue(
            "this return_url is not among those that the service allows",
            next_step="Name its beginning in RECON_CAPTURE_RETURN_URLS.",
        )
    secret, now = secrets.token_urlsafe(32), on.clock()
    if wish.consent_expires_at is not None and wish.consent_expires_at <= now + wish.lifetime:
        raise InvalidValue(
            "the consent ends before the link does", next_step="Ask for a shorter link, or for a new consent."
        )
    session = CaptureSession(
        session_id=new_id("cap"),
        secret_sha256=_sha256(secret),
        subject_id=wish.subject_id,
        consent_id=wish.consent_id,
        keep_selfies=wish.keep_selfies,
        keep_evidence=wish.keep_evidence,
        keep_probes=wish.keep_probes,
        consent_expires_at=wish.consent_expires_at,
        language=wish.language,
        return_url=wish.return_url,
        api_key_id=api_key_id,
        created_at=now,
        expires_at=now + wish.lifetime,
    )
    with on.database.transaction() as tx:
        tx.captures.add(session)
        record(
            tx,
            on=on,
            action="capture.made",
            actor=api_key_id or SERVICE,
            subject_id=wish.subject_id,
            object_id=session.session_id,
        )
    return NewCapture(session, f"{session.session_id}.{secret}")


def open_capture(token: str, *, on: Stores) -> OpenCapture:
    """The session that ``token`` opens. Raises Unauthenticated, whatever the reason is."""
    given = _TOKEN.fullmatch(token)
    if given is None:
        raise _refused()
    session_id, secret = given.groups()
    with on.database.snapshot() as tx:
        session = tx.captures.get(session_id)
        frames = tuple(tx.captures.frame_numbers(session_id)) if session else ()
        maker = tx.api_keys.get(session.api_key_id) if session else None
    matches = hmac.compare_digest(_sha256(secret), session.secret_sha256 if session else bytes(32))
    if session is None or not matches or on.clock() >= session.expires_at:
        raise _refused()
    if maker is not None and maker.revoked_at is not None:
        raise _refused()  # what a stolen key has made ends with it
    operation = get_operation_or_none(session.operation_id, on) if session.operation_id else None
    return OpenCapture(session, secret, operation, frames)


def keep_frame(
    capture: OpenCapture, number: int, content: bytes, *, on: Stores, compute: Compute
) -> SelfieReport:
    """Judge one frame, and keep it when it will do, in the place of an earlier one with its number.

    Raises Conflict when the session takes no frames, InvalidValue.
    """
    if not 0 <= number < MAX_FRAMES:
        raise InvalidValue(f"a session has the frames 0 to {MAX_FRAMES - 1}")
    _refuse_unless_open(capture.state)
    (report,) = check_quality([content], compute=compute)
    if not report.accepted:
        return report
    session_id = capture.session.session_id
    sealed = _cipher(capture, on).seal(content, place=FRAME_PLACE, row=_row(session_id, number))
    with on.database.transaction() as tx:
        current = tx.captures.get(session_id, lock=True)
        if current is None or current.operation_id != capture.session.operation_id:
            raise _not_open(CaptureState.WORKING)
        tx.captures.put_frame(session_id, SealedFrame(number, sealed))
    return report


def start_enrollment(
    capture: OpenCapture, *, on: Stores, queue: JobQueue, budget: timedelta | None = None
) -> Operation:
    """Enroll from the frames that wait. Asked again while it runs, or after it succeeded, it answers with the
    same operation. Raises Conflict (too few frames, no attempt left), QueueFull.
    """
    if capture.operation is not None and capture.state in (CaptureState.WORKING, CaptureState.DONE):
        return capture.operation
    _refuse_unless_open(capture.state)
    session_id = capture.session.session_id
    with on.database.transaction() as tx:
        session = tx.captures.get(session_id, lock=True)
        if session is None or session.operation_id != capture.session.operation_id:
            raise _not_open(CaptureState.WORKING)
        frames = tx.captures.frames(session_id)
    if len(frames) < MIN_FRAMES:
        raise Conflict(
            f"an enrollment needs {MIN_FRAMES} accepted frames, there are {len(frames)}",
            next_step="Take the missing pictures.",
        )
    cipher = _cipher(capture, on)
    selfies = tuple(cipher.open(f.sealed, place=FRAME_PLACE, row=_row(session_id, f.number)) for f in frames)

    def take(tx: Transaction, operation: Operation) -> None:
        # With the enrollment, or not at all: whatever breaks off leaves a session that can begin again.
        current = tx.captures.get(session_id, lock=True)
        if current is None or current.attempts != session.attempts:
            raise _not_open(CaptureState.WORKING)
        begun = replace(current, attempts=current.attempts + 1, operation_id=operation.operation_id)
        tx.captures.update(begun)
        tx.captures.drop_frames(session_id)

    wish = EnrollmentRequest(
        subject_id=session.subject_id,
        selfies=selfies,
        consent_id=session.consent_id,
        keep_selfies=session.keep_selfies,
        keep_evidence=session.keep_evidence,
        keep_probes=session.keep_probes,
        consent_expires_at=session.consent_expires_at,
        api_key_id=session_id,
    )
    try:
        return request_enrollment(wish, on=on, queue=queue, budget=budget, also=take).operation
    except Conflict:
        made = _made_meanwhile(session, on)
        if made is None:
            raise
        return made


def _made_meanwhile(before: CaptureSession, on: Stores) -> Operation | None:
    """By the same request, sent twice."""
    with on.database.snapshot() as tx:
        now = tx.captures.get(before.session_id)
        if now is None or now.operation_id is None or now.operation_id == before.operation_id:
            return None
        return tx.operations.get(now.operation_id)


def capture_mesh(capture: OpenCapture, *, on: Stores, compute: Compute) -> bytes:
    """The face that the session's enrollment gave, as binary glTF. Raises NotFound before there is one."""
    operation = capture.operation
    if operation is None or operation.state is not OperationState.SUCCEEDED or operation.template_id is None:
        raise NotFound("the enrollment has not succeeded", next_step="Wait for its end.")
    return template_mesh(
        operation.subject_id, operation.template_id, on=on, compute=compute, actor=capture.actor
    )


def _cipher(capture: OpenCapture, on: Stores) -> SubjectCipher:
    return on.vault.cipher_of_secret(capture.secret.encode(), capture.session.subject_id)


def _row(session_id: str, number: int) -> str:
    return f"{session_id}/{number}"


def _within(url: str, prefix: str) -> bool:
    """Whether the address begins with the allowed one, and does not merely share its letters."""
    if not prefix or not url.startswith(prefix) or any(ord(c) <= 32 or c == "\\" for c in url):
        return False
    rest = url[len(prefix) :]
    return prefix.endswith("/") or not rest or rest[0] in "/?#"


def _refuse_unless_open(state: CaptureState) -> None:
    if state is not CaptureState.OPEN:
        raise _not_open(state)


def _not_open(state: CaptureState) -> Conflict:
    reasons = {
        CaptureState.WORKING: ("an enrollment of this session is under way", "Follow the operation."),
        CaptureState.DONE: ("this session has been used", "Ask for a new one to enroll again."),
        CaptureState.SPENT: ("this session has no attempt left", "Ask for a new one."),
    }
    detail, next_step = reasons.get(state, reasons[CaptureState.WORKING])
    return Conflict(detail, next_step=next_step)


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(b"recon:capture:" + secret.encode()).digest()


def _refused() -> Unauthenticated:
    return Unauthenticated(
        "this link is not valid, or its time is over",
        next_step="Ask the app that gave you the link for a new one.",
    )
