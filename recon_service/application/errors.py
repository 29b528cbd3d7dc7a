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
