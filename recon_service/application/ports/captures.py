"""Capture sessions and the frames that wait in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from recon_service.application.records.captures import CaptureSession, SealedFrame


class CaptureSessions(Protocol):
    """Sessions with their frames; both go together."""

    def add(self, session: CaptureSession) -> None: ...

    def get(self, session_id: str, *, lock: bool = False) -> CaptureSession | None:
        """lock: nobody changes it before this transaction ends."""
        ...

    def update(self, session: CaptureSession) -> None:
        """Attempts and operation."""
        ...

    def put_frame(self, session_id: str, frame: SealedFrame) -> None:
        """In the place of the one with its number, if there is one."""
        ...

    def frame_numbers(self, session_id: str) -> list[int]: ...

    def frames(self, session_id: str) -> Sequence[SealedFrame]:
        """In order."""
        ...

    def drop_frames(self, session_id: str) -> None: ...

    def remove(self, session_id: str) -> None: ...

    def expire(self, *, now: datetime, limit: int) -> int:
        """Remove the sessions whose time is over; how many."""
        ...
