"""Which frames of a visit are sent: good ones, apart in time, still and with much depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.seen_face import SeenFace

KEPT: Final = 12
SOFT: Final = 60.0
"""Variance of the Laplacian at which a picture counts half: below it motion or bad focus blur it."""
ANGLE: Final = 20.0
MOVED_MM: Final = 15.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A good frame. moved_mm: since the frame before. arrived: when it was read, seconds of the kiosk's
    clock.
    """

    frame: CameraFrame
    face: SeenFace
    moved_mm: float
    arrived: float

    @property
    def merit(self) -> float:
        """0 to 1: the product of how much depth there is, how still, how frontal and how sharp it is."""
        merit = self.face.valid / (1.0 + (self.moved_mm / MOVED_MM) ** 2)
        if self.face.angles is not None:
            yaw, pitch, _ = self.face.angles
            merit /= 1.0 + (yaw / ANGLE) ** 2 + (pitch / (2 * ANGLE)) ** 2
        if self.face.sharpness is not None:
            merit *= self.face.sharpness / (self.face.sharpness + SOFT)
        return merit


class BestFrames:
    """Keeps the best of the good frames so far.

    wanted: how many a capture takes. patience: good frames that are looked at before the best are taken; more
    make a better choice and a longer wait.
    """

    def __init__(self, *, wanted: int = 3, patience: int = 4) -> None:
        self._wanted, self._patience = wanted, max(patience, wanted)
        self._kept: list[Candidate] = []
        self._seen = 0

    def add(self, candidate: Candidate) -> None:
        """One more good frame."""
        self._seen += 1
        self._kept.append(candidate)
        if len(self._kept) > KEPT:
            self._kept.remove(min(self._kept, key=lambda c: c.merit))

    def clear(self) -> None:
        """Somebody else may be there: forget all."""
        self._kept, self._seen = [], 0

    @property
    def progress(self) -> float:
        """0 to 1: how far a capture is from being complete."""
        return min(1.0, self._seen / self._patience)

    @property
    def ready(self) -> bool:
        return self._seen >= self._patience

    def best(self, count: int | None = None) -> tuple[Candidate, ...]:
        """The best, in the order of time."""
        chosen = sorted(self._kept, key=lambda c: -c.merit)[: count or self._wanted]
        return tuple(sorted(chosen, key=lambda c: c.arrived))
