"""Objects that no other row owns, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from recon_service.storage import tables as t
from recon_service.storage.moments import long_past

AT_ONCE: Final = 500
"""Keys in one statement."""


class SqlLooseObjects:
    """See ``ports.LooseObjects``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def begin(self, keys: Sequence[str], *, now: datetime) -> None:
        """Insert, as uploads under way."""
        rows = [{"object_key": key, "doomed": False, "since": now} for key in keys]
        self._connection.execute(sa.insert(t.loose_objects), rows)

    def adopt(self, keys: Sequence[str]) -> bool:
        """Delete the rows; the caller rolls back when one was missing or doomed."""
        c = t.loose_objects.c
        undoomed = c.object_key.in_(keys) & c.doomed.is_(False)
        return self._connection.execute(sa.delete(t.loose_objects).where(undoomed)).rowcount == len(set(keys))

    def doom(self, keys: Sequence[str], *, now: datetime) -> None:
        """Mark what is listed, insert what is not."""
        if not keys:
            return
        self.drop(keys)
        rows = [{"object_key": key, "doomed": True, "since": now} for key in sorted(set(keys))]
        self._connection.execute(sa.insert(t.loose_objects), rows)

    def doom_stale(self, *, begun_before: datetime, now: datetime) -> int:
        """Mark uploads that began so long ago, or, by a clock that was put back, in the future."""
        c = t.loose_objects.c
        stale = c.doomed.is_(False) & long_past(c.since, begun_before, now=now)
        return self._connection.execute(sa.update(t.loose_objects).where(stale).values(doomed=True)).rowcount

    def doomed(self, *, limit: int) -> list[str]:
        """Oldest first."""
        c = t.loose_objects.c
        query = sa.select(c.object_key).where(c.doomed.is_(True)).order_by(c.since).limit(limit)
        return list(self._connection.scalars(query))

    def drop(self, keys: Sequence[str]) -> None:
        """Delete the rows, in statements that no database finds too long."""
        for start in range(0, len(keys), AT_ONCE):
            ours = t.loose_objects.c.object_key.in_(keys[start : start + AT_ONCE])
            self._connection.execute(sa.delete(t.loose_objects).where(ours))
