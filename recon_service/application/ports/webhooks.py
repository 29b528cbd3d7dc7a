"""Webhooks: what is kept of them, and the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from recon_service.application.records.webhooks import (
    Delivery,
    DeliveryState,
    EventKind,
    WebhookEndpoint,
    WebhookState,
)


class Webhooks(Protocol):
    """Endpoints and deliveries."""

    def add(self, endpoint: WebhookEndpoint) -> None: ...

    def get(self, endpoint_id: str) -> WebhookEndpoint | None: ...

    def all(self) -> list[WebhookEndpoint]:
        """Oldest first."""
        ...

    def remove(self, endpoint_id: str) -> bool:
        """With its deliveries. False: there is no such endpoint."""
        ...

    def wanting(self, kind: EventKind) -> list[str]:
        """Ids of the endpoints that want events of this kind."""
        ...

    def enqueue(self, deliveries: Sequence[Delivery]) -> None: ...

    def due(self, *, now: datetime) -> bool:
        """Whether any delivery waits for its attempt."""
        ...

    def take(
        self, *, now: datetime, until: datetime, per_endpoint: int, without: Sequence[str] = ()
    ) -> list[Delivery]:
        """Deliveries that are due, at most ``per_endpoint`` of each endpoint, oldest first; those of the
        endpoints in ``without`` are left alone. Each counts one attempt more and is nobody else's before
        ``until``.
        """
        ...

    def untried(self, delivery_ids: Sequence[str], *, now: datetime) -> None:
        """They were taken, and nothing was sent: as if they had not been."""
        ...

    def bring_forward(self, *, now: datetime, latest: Sequence[datetime]) -> int:
        """Deliveries that are due later than ``latest`` says, by how often they were tried, are due now; how
        many. The last one is for all that were tried as often or more.
        """
        ...

    def delivered(self, delivery_id: str, *, status: int, now: datetime) -> None: ...

    def failed(
        self, delivery_id: str, *, status: int, fault: str, due: datetime | None, now: datetime
    ) -> None:
        """due: of the next attempt; None: there is none, it is dead."""
        ...

    def deliveries(self, endpoint_id: str, *, state: DeliveryState | None, limit: int) -> list[Delivery]:
        """Newest first."""
        ...

    def revive(self, delivery_id: str, *, endpoint_id: str, now: datetime) -> bool:
        """A dead delivery waits again, with all its attempts. False: it is not dead."""
        ...

    def forget(self, *, ended_before: datetime, limit: int) -> int:
        """Drop a page of the deliveries that ended before then; how many."""
        ...

    def state(self) -> WebhookState: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered. status 0: nothing; fault says why, by a stable code."""

    status: int = 0
    fault: str = ""

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300


class WebhookSender(Protocol):
    """The way out to endpoints."""

    def refuse(self, url: str) -> None:
        """Raises WebhookAddressRefused for an address that nothing will be sent to."""
        ...

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post once, within a time limit; never raises for what the other side does."""
        ...
