"""Recent probes in SQL."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from recon_service.application.records.probes import SealedProbe
from recon_service.storage.pages import delete_page
from recon_service.storage.probe_tables import recent_probes

_c = recent_probes.c


class SqlRecentProbes:
    """See ``ports.probes.RecentProbes``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def keep(self, probe: SealedProbe, *, most: int) -> None:
        """The oldest make room before the new one comes."""
        ours = _c.subject_id == probe.subject_id
        query = sa.select(_c.probe_id).where(ours).order_by(_c.seen_at.desc(), _c.probe_id)
        kept = self._connection.scalars(query).all()
        if gone := kept[most - 1 :]:
            self._connection.execute(sa.delete(recent_probes).where(_c.probe_id.in_(gone)))
        self._connection.execute(sa.insert(recent_probes).values(**asdict(probe)))

    def of(self, subject_id: str) -> list[SealedProbe]:
        """Newest first."""
        query = sa.select(recent_probes).where(_c.subject_id == subject_id)
        rows = self._connection.execute(query.order_by(_c.seen_at.desc(), _c.probe_id))
        return [SealedProbe(**row._mapping) for row in rows]

    def forget(self, subject_id: str) -> int:
        """All of the subject."""
        gone = sa.delete(recent_probes).where(_c.subject_id == subject_id)
        return self._connection.execute(gone).rowcount

    def expire(self, *, before: datetime, limit: int) -> int:
        """Whosever they are."""
        return delete_page(self._connection, recent_probes, _c.seen_at < before, limit)
