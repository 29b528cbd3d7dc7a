"""What goes wrong at a kiosk, each with a next step for whoever looks after it.

The way of a visit, and the errors that stand on it::

    camera -> frames -> face -> best frames -> capture -> service -> decision
      |         |                                |           |
    CameraNotConnected                    CaptureTooLarge  ServiceUnreachable, ServiceRefused,
    WrongStream, CameraStalled                             ServiceBusy, AnswerLost, OfflineRefused
    ImplausibleDepth, RecordingUnreadable

That nobody came, that a face could not be seen well, and every decision are values, not errors.
"""

from __future__ import annotations

from recon_service.domain.errors import ServiceFault


class KioskError(ServiceFault):
    """Root of the errors of a kiosk."""

    code = "kiosk-error"
    title = "The kiosk cannot go on"


class CameraError(KioskError):
    """The camera does not give what it has to."""

    code = "camera-error"
    title = "The camera does not work"


class CameraNotConnected(CameraError):
    """No such camera, or it went away."""

    code = "camera-not-connected"
    title = "The camera is not connected"


class CameraSupportMissing(CameraError):
    """The maker's package is not installed."""

    code = "camera-support-missing"
    title = "The camera's package is not installed"


class WrongStream(CameraError):
    """The camera has no stream as asked for, or one whose geometry cannot be expressed."""

    code = "camera-wrong-stream"
    title = "The camera has no such stream"


class CameraStalled(CameraError):
    """The camera is there and sends nothing."""

    code = "camera-stalled"
    title = "The camera sends no frames"


class ImplausibleDepth(CameraError):
    """Units, range or alignment of the frames cannot be right."""

    code = "camera-implausible-depth"
    title = "The camera's depth is not plausible"


class RecordingUnreadable(CameraError):
    """A recording that is missing, altered, incomplete or sealed with another key."""

    code = "recording-unreadable"
    title = "The recording cannot be read"


class RecordingKeyMissing(KioskError):
    """A recording shows a person: it is sealed, or somebody said that it need not be."""

    code = "recording-key-missing"
    title = "Recordings need a key"


class CaptureTooLarge(KioskError):
    """The frames do not fit into what may be sent."""

    code = "capture-too-large"
    title = "The capture is too large to be sent"


class ServiceError(KioskError):
    """The service did not decide."""

    code = "service-error"
    title = "The service did not decide"


class ServiceUnreachable(ServiceError):
    """No connection, or no answer in time."""

    code = "service-unreachable"
    title = "The service cannot be reached"


class ServiceBusy(ServiceError):
    """The service asks to come back later. retry_after_s: when. status: of its answer."""

    code = "service-busy"
    title = "The service is busy"
    retry_after_s: float = 1.0
    status: int = 503


class ServiceRefused(ServiceError):
    """The service will not answer this kiosk or this request, however often it is asked. problem: the last
    part of the problem's type, as in docs/api.md.
    """

    code = "service-refused"
    title = "The service refuses the kiosk"
    problem: str = ""
    status: int = 0


class SessionOver(ServiceError):
    """The session or its nonce is used up: a new one with new frames is needed."""

    code = "kiosk-session-over"
    title = "The session is over"


class AnswerLost(ServiceError):
    """A decision was made whose answer never came: the visit has to begin anew."""

    code = "answer-lost"
    title = "The answer was lost"


class OfflineRefused(ServiceError):
    """Without the service, the policy allows no decision."""

    code = "offline-refused"
    title = "No decision without the service"
