"""One visit: somebody says who they are, stands before the camera, and gets a decision.

camera -> face -> advice -> good frames -> capture -> service -> decision, with more frames while the
service is not sure, and without the service what the policy for that says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from recon_service.domain.errors import InvalidValue
from recon_service.kiosk.best_frames import BestFrames, Candidate
from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.capture import MAX_BYTES, pack
from recon_service.kiosk.errors import (
    AnswerLost,
    ServiceBusy,
    ServiceError,
    ServiceUnreachable,
    SessionOver,
)
from recon_service.kiosk.guidance import Advice, GuideLimits, advise
from recon_service.kiosk.offline import BundleVerifier, OfflinePolicy, decide_offline
from recon_service.kiosk.seen_face import FaceFinder, SeenFace
from recon_service.kiosk.service import Service, Session, Verdict

TIMED_OUT: Final = "TIMED_OUT"
"""Nobody stood before the camera as needed, for too long. No decision of the service."""


@dataclass(frozen=True, slots=True)
class VisitLimits:
    """frames: of the first capture. patience: good frames that are looked at for them. more_frames: that
    each further capture adds. captures: how often the service is asked. seconds: until nobody is waited for
    any more. max_bytes: that one verification may send.
    """

    frames: int = 3
    patience: int = 4
    more_frames: int = 2
    captures: int = 3
    seconds: float = 45.0
    max_bytes: int = MAX_BYTES
    guide: GuideLimits = field(default_factory=GuideLimits)

    def __post_init__(self) -> None:
        most = self.frames + self.more_frames * (self.captures - 1)
        if not (1 <= self.frames <= self.patience and self.captures >= 1 and most <= 10):
            raise InvalidValue("a visit takes 1 to 10 frames in 1 or more captures")


@dataclass(frozen=True, slots=True)
class Moment:
    """What the screen shows at one frame. stage: "guiding", "checking". progress: 0 to 1."""

    stage: str
    advice: Advice
    progress: float
    frame: CameraFrame
    face: SeenFace | None


@dataclass(frozen=True, slots=True)
class VisitResult:
    """decision: of the service (or TIMED_OUT). offline: made with the site's bundle. captures: that were
    sent. bytes_sent: of the largest. milliseconds: of the kiosk's own stages and, with "service: ", of the
    service's; "capture to decision" is from the arrival of the first frame that was sent.
    """

    decision: str
    score: float | None = None
    reasons: tuple[tuple[str, str], ...] = ()
    offline: bool = False
    captures: int = 0
    attempts: int = 0
    frames: int = 0
    bytes_sent: int = 0
    milliseconds: dict[str, float] = field(default_factory=dict)


Show = Callable[[Moment], None]


class Kiosk:
    """Runs visits. Belongs to one thread.

    finder, service: see there. bundle: what decides without the service, where ``offline`` allows it.
    """

    def __init__(
        self,
        finder: FaceFinder,
        service: Service,
        *,
        limits: VisitLimits | None = None,
        offline: OfflinePolicy | None = None,
        bundle: BundleVerifier | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._finder, self._service = finder, service
        self._limits, self._offline = limits or VisitLimits(), offline or OfflinePolicy()
        self.bundle, self._clock = bundle, clock

    def visit(
        self, subject_id: str, frames: Iterable[CameraFrame], *, show: Show = lambda moment: None
    ) -> VisitResult:
        """The decision about who stands before the camera.

        frames: as the camera gives them; a recording that ends before a decision times the visit out. show:
        is told every frame. Raises CameraError, ServiceRefused, OfflineRefused, CaptureTooLarge.
        """
        return _Visit(self, subject_id, show).run(iter(frames))


class _Visit:
    """The state of one visit."""

    def __init__(self, kiosk: Kiosk, subject_id: str, show: Show) -> None:
        self._kiosk, self._subject, self._show = kiosk, subject_id, show
        self._limits, self._clock = kiosk._limits, kiosk._clock
        self._began = self._clock()
        self._session: Session | None = None
        self._fresh = False
        self._unreachable: ServiceError | None = None
        self._result = VisitResult(TIMED_OUT)

    def run(self, frames: Iterable[CameraFrame]) -> VisitResult:
        best = BestFrames(wanted=self._limits.frames, patience=self._limits.patience)
        before: SeenFace | None = None
        target = self._limits.patience
        seen = 0
        stages: dict[str, float] = {}
        for frame in frames:
            arrived = self._clock()
            if arrived - self._began > self._limits.seconds:
                return self._result
            face = self._kiosk._finder.find(frame)
            stages["find face"] = 1000 * (self._clock() - arrived)
            advice = advise(face, frame, self._limits.guide, before=before)
            if face is None or (before is not None and _somebody_else(face, before)):
                best.clear()
                seen = 0
                before = face
            elif advice is Advice.GOOD and before is not None:
                moved = float(abs(face.center - before.center).max())
                best.add(Candidate(frame, face, moved, arrived))
                seen += 1
            before = face
            ready = seen >= target
            self._show(
                Moment("checking" if ready else "guiding", advice, min(1.0, seen / target), frame, face)
            )
            if face is not None:
                self._open_session(stages)
            if not ready:
                continue
            wanted = self._limits.frames + self._limits.more_frames * self._result.captures
            verdict = self._ask(best.best(wanted), stages)
            if verdict is None:  # a decision that nobody heard: everything anew
                best.clear()
                seen, target = 0, self._limits.patience
                continue
            if verdict.final or self._result.captures >= self._limits.captures:
                return self._result
            target = seen + self._limits.more_frames
        return self._result

    def _open_session(self, stages: dict[str, float]) -> None:
        """As soon as a face is near: the session is there when the frames are."""
        if self._session is not None or self._unreachable is not None:
            return
        begun = self._clock()
        try:
            self._session, self._fresh = self._kiosk._service.open_session(self._subject), True
        except (ServiceUnreachable, ServiceBusy) as fault:
            self._unreachable = fault
        stages["open session"] = 1000 * (self._clock() - begun)

    def _ask(self, chosen: tuple[Candidate, ...], stages: dict[str, float]) -> Verdict | None:
        """The decision about these frames, kept in the result; None where an answer was lost."""
        begun = self._clock()
        capture = pack(chosen, max_bytes=self._limits.max_bytes)
        packed = self._clock()
        offline = False
        try:
            verdict, self._session = self._kiosk._service.verify(
                self._subject, capture, session=self._session, fresh=self._fresh
            )
            self._fresh, self._unreachable = False, None
        except (AnswerLost, SessionOver):
            self._session, self._unreachable = None, None
            return None
        except (ServiceUnreachable, ServiceBusy) as fault:
            if isinstance(fault, ServiceBusy) and fault.status < 500:
                raise  # a limit of the service is no reason to decide without it
            verdict, offline = self._without_service(chosen, fault), True
        decided = self._clock()
        self._result = replace(
            self._result,
            decision=verdict.decision,
            score=verdict.score,
            reasons=verdict.reasons,
            offline=offline,
            captures=self._result.captures + 1,
            attempts=self._result.attempts + verdict.attempts,
            frames=len(capture.depth),
            bytes_sent=max(self._result.bytes_sent, capture.bytes_sent),
            milliseconds={
                **stages,
                "gather frames": 1000 * (begun - chosen[0].arrived),
                "pack": 1000 * (packed - begun),
                "ask": 1000 * (decided - packed),
                "capture to decision": 1000 * (decided - chosen[0].arrived),
                **{f"service: {name}": value for name, value in verdict.milliseconds.items()},
            },
        )
        return verdict

    def _without_service(self, chosen: tuple[Candidate, ...], fault: ServiceError) -> Verdict:
        kiosk = self._kiosk
        frames = [candidate.frame.depth_frame() for candidate in chosen]
        return decide_offline(
            self._subject, frames, policy=kiosk._offline, bundle=kiosk.bundle, because=fault
        )


def _somebody_else(face: SeenFace, before: SeenFace) -> bool:
    """Whether the face jumped farther than a head moves between two frames."""
    return bool(abs(face.center - before.center).max() > 150.0)
