"""Webhooks in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recon_service.application.records.webhooks import (
    Delivery,
    DeliveryState,
    EventKind,
    WebhookEndpoint,
    WebhookState,
)
from recon_service.storage.pages import delete_page
from recon_service.storage.webhook_tables import webhook_deliveries, webhook_endpoints


class SqlWebhooks:
    """See ``ports.Webhooks``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, endpoint: WebhookEndpoint) -> None:
        """Insert."""
        values = {**asdict(endpoint), "kinds": sorted(k.value for k in endpoint.kinds)}
        self._connection.execute(sa.insert(webhook_endpoints).values(**values))

    def get(self, endpoint_id: str) -> WebhookEndpoint | None:
        """By its id."""
        query = sa.select(webhook_endpoints).where(webhook_endpoints.c.endpoint_id == endpoint_id)
        row = self._connection.execute(query).one_or_none()
        return _endpoint(row._mapping) if row else None

    def all(self) -> list[WebhookEndpoint]:
        """Oldest first."""
        c = webhook_endpoints.c
        rows = self._connection.execute(sa.select(webhook_endpoints).order_by(c.created_at, c.endpoint_id))
        return [_endpoint(row._mapping) for row in rows]

    def remove(self, endpoint_id: str) -> bool:
        """Its deliveries go with it, by the foreign key."""
        ours = webhook_endpoints.c.endpoint_id == endpoint_id
        return self._connection.execute(sa.delete(webhook_endpoints).where(ours)).rowcount == 1

    def wanting(self, kind: EventKind) -> list[str]:
        """There are few endpoints: all are looked at."""
        c = webhook_endpoints.c
        rows = self._connection.execute(sa.select(c.endpoint_id, c.kinds))
        return [row.endpoint_id for row in rows if kind.value in row.kinds]

    def enqueue(self, deliveries: Sequence[Delivery]) -> None:
        """Insert."""
        self._connection.execute(sa.insert(webhook_deliveries), [_row(d) for d in deliveries])

    def due(self, *, now: datetime) -> bool:
        """Read from the index."""
        query = sa.select(webhook_deliveries.c.delivery_id).where(_due(now)).limit(1)
        return self._connection.execute(query).first() is not None

    def take(
        self, *, now: datetime, until: datetime, per_endpoint: int, without: Sequence[str] = ()
    ) -> list[Delivery]:
        """Lock, count the attempt, and move the due time to the end of the lease."""
        c = webhook_deliveries.c
        found: list[Delivery] = []
        due = _due(now) & c.endpoint_id.not_in(without)
        for endpoint_id in self._connection.scalars(sa.select(c.endpoint_id).where(due).distinct()).all():
            query = (
                sa.select(webhook_deliveries)
                .where(_due(now) & (c.endpoint_id == endpoint_id))
                .order_by(c.due_at, c.created_at)
                .limit(per_endpoint)
                .with_for_update(skip_locked=True)
            )
            found.extend(_delivery(row._mapping) for row in self._connection.execute(query))
        if found:
            ours = c.delivery_id.in_([d.delivery_id for d in found])
            change = sa.update(webhook_deliveries).where(ours)
            self._connection.execute(change.values(attempts=c.attempts + 1, due_at=until))
        return [replace(d, attempts=d.attempts + 1, due_at=until) for d in found]

    def untried(self, delivery_ids: Sequence[str], *, now: datetime) -> None:
        """Take the attempt back; due at once."""
        c = webhook_deliveries.c
        ours = c.delivery_id.in_(delivery_ids) & (c.state == DeliveryState.WAITING.value)
        change = sa.update(webhook_deliveries).where(ours)
        self._connection.execute(change.values(attempts=c.attempts - 1, due_at=now))

    def bring_forward(self, *, now: datetime, latest: Sequence[datetime]) -> int:
        """All in one statement, by the index."""
        c = webhook_deliveries.c
        tried = [c.attempts == number for number in range(len(latest) - 1)] + [c.attempts >= len(latest) - 1]
        too_late = sa.or_(*(of & (c.due_at > moment) for of, moment in zip(tried, latest, strict=True)))
        waiting = (c.state == DeliveryState.WAITING.value) & (c.due_at > min(latest))
        change = sa.update(webhook_deliveries).where(waiting & too_late)
        return self._connection.execute(change.values(due_at=now)).rowcount

    def delivered(self, delivery_id: str, *, status: int, now: datetime) -> None:
        """An end."""
        self._change(delivery_id, state=DeliveryState.DELIVERED.value, status=status, fault="", ended_at=now)

    def failed(
        self, delivery_id: str, *, status: int, fault: str, due: datetime | None, now: datetime
    ) -> None:
        """Wait again, or an end."""
        values: dict[str, Any] = {"status": status, "fault": fault[:64]}
        if due is None:
            values |= {"state": DeliveryState.DEAD.value, "ended_at": now}
        else:
            values |= {"due_at": due}
        self._change(delivery_id, **values)

    def deliveries(self, endpoint_id: str, *, state: DeliveryState | None, limit: int) -> list[Delivery]:
        """Newest first."""
        c = webhook_deliveries.c
        query = sa.select(webhook_deliveries).where(c.endpoint_id == endpoint_id)
        if state is not None:
            query = query.where(c.state == state.value)
        rows = self._connection.execute(query.order_by(c.created_at.desc(), c.delivery_id).limit(limit))
        return [_delivery(row._mapping) for row in rows]

    def revive(self, delivery_id: str, *, endpoint_id: str, now: datetime) -> bool:
        """As if it were new."""
        c = webhook_deliveries.c
        dead = (c.delivery_id == delivery_id) & (c.endpoint_id == endpoint_id)
        change = sa.update(webhook_deliveries).where(dead & (c.state == DeliveryState.DEAD.value))
        fresh = {"state": DeliveryState.WAITING.value, "attempts": 0, "due_at": now, "ended_at": None}
        return self._connection.execute(change.values(**fresh)).rowcount == 1

    def forget(self, *, ended_before: datetime, limit: int) -> int:
        """Delete."""
        old = webhook_deliveries.c.ended_at < ended_before
        return delete_page(self._connection, webhook_deliveries, old, limit)

    def state(self) -> WebhookState:
        """Counts."""
        c = webhook_deliveries.c
        row = self._connection.execute(
            sa.select(
                sa.func.count().filter(c.state == DeliveryState.WAITING.value).label("waiting"),
                sa.func.count().filter(c.state == DeliveryState.DEAD.value).label("dead"),
            ).where(c.state.in_((DeliveryState.WAITING.value, DeliveryState.DEAD.value)))  # by the index
        ).one()
        oldest: datetime | None = self._connection.scalar(
            sa.select(c.created_at)
            .where(c.state == DeliveryState.WAITING.value)
            .order_by(c.created_at)
            .limit(1)
        )
        return WebhookState(row.waiting, row.dead, oldest)

    def _change(self, delivery_id: str, **values: object) -> None:
        # Only what still waits: an end is final, whoever was slow.
        ours = webhook_deliveries.c.delivery_id == delivery_id
        waits = webhook_deliveries.c.state == DeliveryState.WAITING.value
        self._connection.execute(sa.update(webhook_deliveries).where(ours & waits).values(**values))


def _due(now: datetime) -> sa.ColumnElement[bool]:
    c = webhook_deliveries.c
    return (c.state == DeliveryState.WAITING.value) & (c.due_at <= now)


def _row(delivery: Delivery) -> dict[str, Any]:
    return {**asdict(delivery), "kind": delivery.kind.value, "state": delivery.state.value}


def _delivery(row: Any) -> Delivery:
    return Delivery(**{**row, "kind": EventKind(row["kind"]), "state": DeliveryState(row["state"])})


def _endpoint(row: Any) -> WebhookEndpoint:
    return WebhookEndpoint(**{**row, "kinds": frozenset(EventKind(k) for k in row["kinds"])})
