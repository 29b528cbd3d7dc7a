"""Wrapped keys in SQL: those of the service itself, and the exchange of the master key."""

from __future__ import annotations

import sqlalchemy as sa

from recon_service.application.ports.records import SERVICE_OWNER
from recon_service.application.records.subjects import WrappedKey
from recon_service.storage import tables as t

SERVICE = SERVICE_OWNER
"""Stands where a subject's id would."""


class SqlWrappedKeys:
    """See ``ports.WrappedKeys``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def service_key(self, name: str, *, lock: bool = False) -> WrappedKey | None:
        """A key of the service by name."""
        query = sa.select(t.service_keys).where(t.service_keys.c.name == name)
        row = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        return WrappedKey(row.key_id, SERVICE, row.master_key_id, row.wrapped) if row else None

    def add_service_key(self, name: str, key: WrappedKey) -> None:
        """Insert."""
        self._connection.execute(
            sa.insert(t.service_keys).values(
                name=name, key_id=key.key_id, master_key_id=key.master_key_id, wrapped=key.wrapped
            )
        )

    def remove_service_key(self, name: str) -> None:
        """Delete."""
        self._connection.execute(sa.delete(t.service_keys).where(t.service_keys.c.name == name))

    def not_wrapped_by(self, master_key_id: str, *, limit: int, after: str = "") -> list[WrappedKey]:
        """Of the service and of subjects, those of subjects in the order of their ids; locked, without those
        that another transaction has locked.
        """
        service, subjects = t.service_keys, t.subject_keys
        query = sa.select(service).where(service.c.master_key_id != master_key_id)
        of_service = self._connection.execute(query.with_for_update(skip_locked=True))
        found = [WrappedKey(r.key_id, SERVICE, r.master_key_id, r.wrapped) for r in of_service]
        others = (subjects.c.master_key_id != master_key_id) & (subjects.c.subject_id > after)
        query = sa.select(subjects).where(others).order_by(subjects.c.subject_id).limit(limit)
        of_subjects = self._connection.execute(query.with_for_update(skip_locked=True))
        found.extend(WrappedKey(r.key_id, r.subject_id, r.master_key_id, r.wrapped) for r in of_subjects)
        return found

    def rewrap(self, key: WrappedKey) -> None:
        """Update the row of that key."""
        table = t.service_keys if key.subject_id == SERVICE else t.subject_keys
        values = {"master_key_id": key.master_key_id, "wrapped": key.wrapped}
        self._connection.execute(sa.update(table).where(table.c.key_id == key.key_id).values(**values))

    def count_by_master(self) -> dict[str, int]:
        """How many keys each master key wraps, by its id."""
        counts: dict[str, int] = {}
        for table in (t.service_keys, t.subject_keys):
            query = sa.select(table.c.master_key_id, sa.func.count()).group_by(table.c.master_key_id)
            for master_key_id, count in self._connection.execute(query):
                counts[master_key_id] = counts.get(master_key_id, 0) + count
        return counts
