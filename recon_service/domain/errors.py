"""Every error that a caller may meet.

The two sentences of the service, and the errors that stand on them::

    selfie bytes -> image -> face -> quality -> landmarks -> evidence -> posterior -> template
         |            |                                        |                        |
      ImageRejected  (no face and poor quality are values)  FitFailed                StorageFault
    depth bytes -> depth frame -> point cloud -> evidence -> posterior -> score -> decision
         |             |                            |                       |
      DepthRejected  DepthRejected               FitFailed            ModelMismatch

``ReconError`` is the root. ``CallerError``: the request cannot be served as it stands, repeating it
unchanged does not help. ``ServiceFault``: the request was fine, we are not. A non-match or a rejected
selfie is no error but a result.

Each class has a stable ``code`` (part of the public interface) and a ``title``; each instance has a
``detail`` (what happened here; never anything biometric) and a ``next_step`` (what the reader can do about
it). HTTP statuses are mapped in ``api/``.
"""

from __future__ import annotations

from typing import ClassVar


class ReconError(Exception):
    """Root of all errors of the service."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Error"

    def __init__(self, detail: str, *, next_step: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.detail} {self.next_step}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (the verification pool): keep the next step on the way.
        return (_rebuild, (type(self), self.detail, self.next_step))


def _rebuild(kind: type[ReconError], detail: str, next_step: str) -> ReconError:
    return kind(detail, next_step=next_step)


class CallerError(ReconError):
    """The request cannot be served as it stands."""

    code = "bad-request"
    title = "The request cannot be served"


class ServiceFault(ReconError):
    """The service failed; the request may be repeated."""

    code = "service-fault"
    title = "The service failed"


class InvalidValue(CallerError):
    """A value broke the rules of its type (shape, range, finiteness)."""

    code = "invalid-value"
    title = "Invalid value"


class ImageRejected(CallerError):
    """Bytes that are not an image that we accept."""

    code = "image-rejected"
    title = "The image cannot be used"


class DepthRejected(CallerError):
    """A depth capture that cannot be used: format, size, intrinsics or content."""

    code = "depth-rejected"
    title = "The depth capture cannot be used"


class ModelMismatch(CallerError):
    """Two values that speak of different morphable models were brought together."""

    code = "model-mismatch"
    title = "Different morphable models"


class FitFailed(ServiceFault):
    """The solver found no usable solution although the evidence passed the gates."""

    code = "fit-failed"
    title = "The fit failed"


class NotFound(CallerError):
    """A subject, template or operation that does not exist (or was deleted)."""

    code = "not-found"
    title = "Not found"


class Conflict(CallerError):
    """The request contradicts what is stored or under way."""

    code = "conflict"
    title = "Conflict"


class Unauthenticated(CallerError):
    """No API key, or one that is not valid."""

    code = "unauthenticated"
    title = "API key missing or not valid"


class Forbidden(CallerError):
    """A valid API key without the scope that the endpoint needs."""

    code = "forbidden"
    title = "The API key lacks a scope"


class InsecureConfiguration(ServiceFault):
    """The service refuses to start because the settings would make it insecure."""

    code = "insecure-configuration"
    title = "Refusing to start insecurely"


class WeightsUnavailable(ServiceFault):
    """A model file is missing or altered."""

    code = "weights-unavailable"
    title = "A model file is missing or altered"


class BackendUnavailable(CallerError):
    """A reconstruction backend that cannot run here: a model file, a package or a device is missing, and
    asking again does not help.
    """

    code = "backend-unavailable"
    title = "A reconstruction backend cannot run here"


class UnknownBackend(CallerError):
    """A name that no reconstruction backend has."""

    code = "unknown-backend"
    title = "No such reconstruction backend"


class ReconstructionFailed(ServiceFault):
    """A backend failed on one picture; the others of its batch are not touched."""

    code = "reconstruction-failed"
    title = "A face could not be reconstructed"


class StorageFault(ServiceFault):
    """The database or the object store failed, or what it returned does not authenticate."""

    code = "storage-fault"
    title = "The storage failed"
