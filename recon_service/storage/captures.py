"""Capture sessions in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recon_service.application.records.captures import CaptureSession, Language, SealedFrame
from recon_service.storage.capture_tables import capture_frames, capture_sessions


class SqlCaptureSessions:
    """See ``ports.CaptureSessions``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, session: CaptureSession) -> None:
        """Insert."""
        values = {name: getattr(session, name) for name in capture_sessions.c.keys()}  # noqa: SIM118
        values["language"] = session.language.value if session.language else ""
        self._connection.execute(sa.insert(capture_sessions).values(**values))

    def get(self, session_id: str, *, lock: bool = False) -> CaptureSession | None:
        """The session of that id."""
        query = sa.select(capture_sessions).where(capture_sessions.c.session_id == session_id)
        row = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        return _session(row._mapping) if row else None

    def update(self, session: CaptureSession) -> None:
        """Attempts and operation."""
        self._connection.execute(
            sa.update(capture_sessions)
            .where(capture_sessions.c.session_id == session.session_id)
            .values(attempts=session.attempts, operation_id=session.operation_id)
        )

    def put_frame(self, session_id: str, frame: SealedFrame) -> None:
        """Delete and insert: the session is locked by the caller."""
        ours = (capture_frames.c.session_id == session_id) & (capture_frames.c.number == frame.number)
        self._connection.execute(sa.delete(capture_frames).where(ours))
        self._connection.execute(
            sa.insert(capture_frames).values(session_id=session_id, number=frame.number, sealed=frame.sealed)
        )

    def frame_numbers(self, session_id: str) -> list[int]:
        """In order."""
        c = capture_frames.c
        query = sa.select(c.number).where(c.session_id == session_id).order_by(c.number)
        return list(self._connection.scalars(query))

    def frames(self, session_id: str) -> list[SealedFrame]:
        """In order."""
        c = capture_frames.c
        query = sa.select(c.number, c.sealed).where(c.session_id == session_id).order_by(c.number)
        return [SealedFrame(row.number, row.sealed) for row in self._connection.execute(query)]

    def drop_frames(self, session_id: str) -> None:
        """Delete them all."""
        self._connection.execute(sa.delete(capture_frames).where(capture_frames.c.session_id == session_id))

    def remove(self, session_id: str) -> None:
        """With its frames."""
        self.drop_frames(session_id)
        self._connection.execute(
            sa.delete(capture_sessions).where(capture_sessions.c.session_id == session_id)
        )

    def expire(self, *, now: datetime, limit: int) -> int:
        """Remove the sessions whose time is over."""
        c = capture_sessions.c
        over = self._connection.scalars(sa.select(c.session_id).where(c.expires_at <= now).limit(limit)).all()
        for session_id in over:
            self.remove(session_id)
        return len(over)


def erase_captures(connection: sa.Connection, subject_id: str) -> None:
    """Remove the sessions of a subject that is being deleted."""
    captures = SqlCaptureSessions(connection)
    c = capture_sessions.c
    for session_id in connection.scalars(sa.select(c.session_id).where(c.subject_id == subject_id)).all():
        captures.remove(session_id)


def _session(row: Any) -> CaptureSession:
    language = Language(row["language"]) if row["language"] else None
    return CaptureSession(**{**row, "language": language})
