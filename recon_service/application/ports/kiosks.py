"""Kiosk sessions, and which captures were seen before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from recon_service.application.records.kiosks import KioskSession


class KioskSessions(Protocol):
    """See ``application.kiosk_sessions``."""

    def add(self, session: KioskSession) -> None: ...

    def get(self, session_id: str) -> KioskSession | None:
        """Locked until the transaction ends."""
        ...

    def update(self, session: KioskSession) -> None: ...

    def remember(self, captures: Sequence[str], *, session_id: str, now: datetime) -> tuple[list[str], bool]:
        """Digests of captures that this session brought. Those that nobody had brought before, and whether
        another session had brought any of them.
        """
        ...

    def forget(self, captures: Sequence[str], *, session_id: str) -> None:
        """Nothing was compared with these: they may come again."""
        ...

    def expire(self, *, sessions_before: datetime, captures_before: datetime, limit: int) -> int:
        """Drop sessions that were over, and captures that were seen, before these moments: a page of each;
        how many rows of the one of which there were more.
        """
        ...
