"""Errors of the use cases, beside those of the domain. Each has a stable code that the HTTP door explains
under /problems/<code>.
"""

from __future__ import annotations

from typing import ClassVar

from recon_service.domain.errors import CallerError, Conflict, ServiceFault, StorageFault


class IdempotencyKeyReused(CallerError):
    """An Idempotency-Key that was used before with other content."""

    code = "idempotency-key-reused"
    title = "The Idempotency-Key belongs to another request"


class RequestInFlight(Conflict):
    """A request with the same Idempotency-Key is being served at this moment."""

    code = "request-in-flight"
    title = "The same request is being served"


class PayloadTooLarge(CallerError):
    """More bytes than the service accepts."""

    code = "payload-too-large"
    title = "The request is too large"


class UnsupportedMedia(CallerError):
    """A body in a format that the endpoint does not read."""

    code = "unsupported-media-type"
    title = "The body has the wrong format"


class TimeLimitReached(ServiceFault):
    """The work took longer than the service allows, and was stopped."""

    code = "time-limit"
    title = "The time limit was reached"


class MemoryLimitReached(CallerError):
    """The work needed more memory than the service allows, and was stopped. Other input needs less."""

    code = "memory-limit"
    title = "The memory limit was reached"


class Overloaded(ServiceFault):
    """No process was free in time."""

    code = "overloaded"
    title = "The service is busy"


class ComputeFault(ServiceFault):
    """The process that did the work died, twice."""

    code = "compute-fault"
    title = "The computation broke down"


class UploadTooSlow(CallerError):
    """The request did not arrive within the time that the service waits for it."""

    code = "upload-too-slow"
    title = "The request came too slowly"


class QueueFull(Overloaded):
    """Enrollments wait longer than the service is allowed to let them wait: it takes no new ones for now."""

    code = "queue-full"
    title = "Too many enrollments are waiting"
    retry_after_s: ClassVar[int] = 30


class StorageUnavailable(StorageFault):
    """Database, object store or queue do not answer at the moment; what they hold is not in doubt."""

    code = "storage-unavailable"
    title = "The storage does not answer"
    retry_after_s: ClassVar[int] = 5


class StorageRefused(StorageFault):
    """The object store answers and does not let the service in: a key, a policy or a bucket is wrong. Waiting
    does not help by itself, but what is stored is as good as before.
    """

    code = "storage-refused"
    title = "The storage refuses the service"


class PreconditionFailed(CallerError):
    """What the request was meant for has changed since the caller looked (If-Match)."""

    code = "precondition-failed"
    title = "It has changed meanwhile"


class TooManyRequests(CallerError):
    """The API key has sent more requests than it may within a minute."""

    code = "too-many-requests"
    title = "Too many requests"
    retry_after_s: int = 60


class LockedOut(CallerError):
    """Too many verifications without a match, of this subject or with this API key: nothing is compared for
    a while.
    """

    code = "locked-out"
    title = "Locked out after verifications without a match"
    retry_after_s: int = 60


class KioskSessionRequired(CallerError):
    """Verifications need a kiosk session here: a fresh nonce, and a proof that the capture is made for it."""

    code = "kiosk-session-required"
    title = "A kiosk session is required"


class KioskSessionInvalid(Conflict):
    """A kiosk session that does not exist, is over, or belongs to another key, client or subject."""

    code = "kiosk-session-invalid"
    title = "No such kiosk session"


class NonceUsed(Conflict):
    """The nonce of a kiosk session was used before: each is good for one verification."""

    code = "nonce-used"
    title = "The nonce was used before"


class KioskProofInvalid(CallerError):
    """The proof of a kiosk session does not belong to this capture."""

    code = "kiosk-proof-invalid"
    title = "The proof does not belong to this capture"


class CaptureReplayed(Conflict):
    """A capture that was already looked at in another visit."""

    code = "capture-replayed"
    title = "This capture came before"


class RecipientNotAllowed(CallerError):
    """An export to somebody whom the settings do not name."""

    code = "recipient-not-allowed"
    title = "Nobody may export to this recipient"


class ImportNotSetUp(CallerError):
    """An import where the settings name no identity to open files with, or no source to trust."""

    code = "import-not-set-up"
    title = "This service imports nothing"


class ExchangeFileRefused(CallerError):
    """A file that is not for us, not from a source that we trust, or damaged."""

    code = "exchange-file-refused"
    title = "The file cannot be imported"
