"""Kiosk sessions and the digests of captures, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from recon_service.application.records.kiosks import KioskSession
from recon_service.storage.pages import delete_page
from recon_service.storage.tables import ID, UtcDateTime, metadata

# No secret: nonces are derived from the session's id, its count and the secret of the digests.
kiosk_sessions = sa.Table(
    "kiosk_sessions",
    metadata,
    sa.Column("session_id", ID, primary_key=True),
    sa.Column("api_key_id", ID, nullable=False),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
    sa.Column("issued", sa.Integer, nullable=False),
    sa.Column("spent", sa.Integer, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),
)

# Keyed digests of depth frames that were compared; they lead to nobody.
seen_captures = sa.Table(
    "seen_captures",
    metadata,
    sa.Column("capture", sa.String(64), primary_key=True),
    sa.Column("session_id", ID, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False, index=True),
)


class SqlKioskSessions:
    """See ``ports.KioskSessions``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, session: KioskSession) -> None:
        """Insert."""
        self._connection.execute(sa.insert(kiosk_sessions).values(**asdict(session)))

    def get(self, session_id: str) -> KioskSession | None:
        """Locked until the transaction ends."""
        query = sa.select(kiosk_sessions).where(kiosk_sessions.c.session_id == session_id)
        row = self._connection.execute(query.with_for_update()).one_or_none()
        return KioskSession(**row._mapping) if row else None

    def update(self, session: KioskSession) -> None:
        """By its id."""
        ours = kiosk_sessions.c.session_id == session.session_id
        self._connection.execute(sa.update(kiosk_sessions).where(ours).values(**asdict(session)))

    def remember(self, captures: Sequence[str], *, session_id: str, now: datetime) -> tuple[list[str], bool]:
        """In the order of the digests: two requests with the same frames must not wait for each other."""
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        seen = {"session_id": session_id, "seen_at": now}
        rows = [{"capture": capture, **seen} for capture in sorted(set(captures))]
        insert = dialect.insert(seen_captures).values(rows).on_conflict_do_nothing()
        new = list(self._connection.scalars(insert.returning(seen_captures.c.capture))) if rows else []
        c = seen_captures.c
        others = sa.select(sa.func.count()).where(c.capture.in_(captures), c.session_id != session_id)
        return new, bool(self._connection.scalar(others))

    def forget(self, captures: Sequence[str], *, session_id: str) -> None:
        """Only what this session brought."""
        c = seen_captures.c
        ours = sa.and_(c.capture.in_(captures), c.session_id == session_id)
        self._connection.execute(sa.delete(seen_captures).where(ours))

    def expire(self, *, sessions_before: datetime, captures_before: datetime, limit: int) -> int:
        """Drop both kinds."""
        over = kiosk_sessions.c.expires_at < sessions_before
        old = seen_captures.c.seen_at < captures_before
        sessions = delete_page(self._connection, kiosk_sessions, over, limit)
        return max(sessions, delete_page(self._connection, seen_captures, old, limit))
