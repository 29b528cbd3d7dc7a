"""Bodies of webhooks, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from recon_service.api.schemas import Body
from recon_service.application.records.webhooks import Delivery, WebhookEndpoint

_URL: Final = "https://shop.example/recon-events"
_ENDPOINT: Final = "wh_0b1c2d3e4f5061728394a5b6c7d8e9f0"


class WebhookRequest(BaseModel):
    """Where events shall go, and which."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"url": _URL, "events": ["operation.ended"]}]},
    )

    url: str = Field(max_length=500, description="https://…; a public address, or one that is allowed.")
    events: list[Literal["operation.ended", "batch.ended"]] = Field(min_length=1, max_length=2)


class WebhookBody(Body):
    """A webhook."""

    webhook_id: str
    url: str
    events: list[str]
    created_at: datetime
    created_by: str = Field(description="Id of the API key.")


class NewWebhookBody(WebhookBody):
    """A webhook that was just registered."""

    secret: str = Field(description="Shown this once; it verifies the signatures (Standard Webhooks).")


class WebhooksBody(Body):
    """All of them."""

    webhooks: list[WebhookBody]


class DeliveryBody(Body):
    """One event on its way to one webhook."""

    delivery_id: str
    event_id: str = Field(description="The header `webhook-id`: the same however often it is sent.")
    event: str
    state: Literal["waiting", "delivered", "dead"]
    attempts: int
    status: int = Field(description="HTTP status of the last answer; 0: there was none.")
    fault: str = Field(description="Why the last attempt failed; empty if it did not.")
    created_at: datetime
    due_at: datetime | None = Field(description="Of the next attempt; null when it has ended.")
    ended_at: datetime | None


class DeliveriesBody(Body):
    """Newest first."""

    deliveries: list[DeliveryBody]


WEBHOOK: Final[dict[str, Any]] = {
    "webhook_id": _ENDPOINT,
    "url": _URL,
    "events": ["operation.ended"],
    "created_at": "2026-03-04T10:00:00Z",
    "created_by": "k1f2e3d4",
}
NEW_WEBHOOK: Final[dict[str, Any]] = {
    **WEBHOOK,
    "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}
DELIVERY: Final[dict[str, Any]] = {
    "delivery_id": "dlv_11223344556677889900aabbccddeeff",
    "event_id": "evt_ffeeddccbbaa00998877665544332211",
    "event": "operation.ended",
    "state": "dead",
    "attempts": 8,
    "status": 500,
    "fault": "refused",
    "created_at": "2026-03-04T10:00:00Z",
    "due_at": None,
    "ended_at": "2026-03-04T18:10:00Z",
}


def webhook_body(endpoint: WebhookEndpoint) -> WebhookBody:
    """Without its secret."""
    return WebhookBody(
        webhook_id=endpoint.endpoint_id,
        url=endpoint.url,
        events=sorted(k.value for k in endpoint.kinds),
        created_at=endpoint.created_at,
        created_by=endpoint.created_by,
    )


def new_webhook_body(endpoint: WebhookEndpoint, secret: str) -> NewWebhookBody:
    """With it."""
    return NewWebhookBody(**webhook_body(endpoint).model_dump(), secret=secret)


def delivery_body(delivery: Delivery) -> DeliveryBody:
    """Without what was sent: the event's id names it."""
    return DeliveryBody(
        delivery_id=delivery.delivery_id,
        event_id=delivery.event_id,
        event=delivery.kind.value,
        state=delivery.state.value,
        attempts=delivery.attempts,
        status=delivery.status,
        fault=delivery.fault,
        created_at=delivery.created_at,
        due_at=None if delivery.ended_at else delivery.due_at,
        ended_at=delivery.ended_at,
    )
