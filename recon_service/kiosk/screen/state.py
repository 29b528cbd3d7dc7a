"""What the screen shows now, and who waits for it to change."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.visit import Moment, VisitResult

PREVIEW_SIDE: Final = 480
PREVIEW_QUALITY: Final = 75


@dataclass(frozen=True, slots=True)
class ScreenState:
    """stage: "idle", "guiding", "checking", "result", "trouble". advice: of ``Advice``. progress: 0 to 1.
    distance_mm: of the face, None without one. good_mm: between what distances a face is well placed.
    decision: of the service. code: of an error. Nothing biometric, and no subject.
    """

    stage: str = "idle"
    advice: str = ""
    progress: float = 0.0
    distance_mm: int | None = None
    good_mm: tuple[int, int] = (350, 750)
    decision: str = ""
    offline: bool = False
    code: str = ""
    number: int = 0


@dataclass
class Shown:
    """The newest state and preview, for as many readers as there are. Safe from every thread."""

    state: ScreenState = field(default_factory=ScreenState)
    _preview: bytes = b""
    _pictures: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def show(self, **changes: Any) -> None:
        """A new state: what is not named goes back to its default."""
        with self._changed:
            number, good = self.state.number + 1, self.state.good_mm
            self.state = ScreenState(**{"good_mm": good, **changes, "number": number})
            if self.state.stage not in ("guiding", "checking"):
                self._preview, self._pictures = (
                    b"",
                    self._pictures + 1,
                )  # nobody is shown when nobody is asked
            self._changed.notify_all()

    def moment(self, moment: Moment) -> None:
        """One frame of a visit."""
        picture = preview(moment.frame)
        with self._changed:
            self._preview, self._pictures = picture, self._pictures + 1
        self.show(
            stage=moment.stage,
            advice=moment.advice.value,
            progress=round(moment.progress, 3),
            distance_mm=None if moment.face is None else round(moment.face.distance_mm),
        )

    def result(self, result: VisitResult) -> None:
        """The end of a visit."""
        self.show(stage="result", decision=result.decision, offline=result.offline, progress=1.0)

    def limits(self, near_mm: float, far_mm: float) -> None:
        """Where a face should be."""
        with self._changed:
            self.state = replace(self.state, good_mm=(round(near_mm), round(far_mm)))

    def wait_state(self, after: int, timeout_s: float) -> ScreenState | None:
        """The next state with a higher number, or None when time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.state.number > after, timeout_s)
            return self.state if self.state.number > after and not self._closed else None

    def wait_preview(self, after: int, timeout_s: float) -> tuple[bytes, int]:
        """The next preview and its number; empty where there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._pictures > after, timeout_s)
            return self._preview, self._pictures

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Let everybody go who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def as_event(state: ScreenState) -> bytes:
    """A server-sent event."""
    return f"id: {state.number}\ndata: {json.dumps(asdict(state))}\n\n".encode()


def preview(frame: CameraFrame) -> bytes:
    """A JPEG of the middle of the frame, as in a mirror; depth as gray where there is no picture."""
    image = frame.image()
    pixels: NDArray[np.uint8] = image.pixels if image is not None else _depth_as_gray(frame)
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    square = cv2.resize(
        pixels[top : top + side, left : left + side],
        (PREVIEW_SIDE, PREVIEW_SIDE),
        interpolation=cv2.INTER_AREA,
    )
    mirrored = np.ascontiguousarray(square[:, ::-1, ::-1])
    _, content = cv2.imencode(".jpg", mirrored, [cv2.IMWRITE_JPEG_QUALITY, PREVIEW_QUALITY])
    return bytes(content)


def _depth_as_gray(frame: CameraFrame) -> NDArray[np.uint8]:
    """Near is light; a relief by the slope, so that a face is seen."""
    depth = frame.millimetres()
    near = np.clip(1.0 - (depth - 300.0) / 900.0, 0.0, 1.0)
    slope = np.clip((np.roll(depth, 2, axis=1) - depth) / 8.0, -1.0, 1.0)
    gray = np.where((depth > 0) & (depth < 1200), 60 + 110 * near + 70 * slope, 18)
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
