"""Bodies of webhooks, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from recon_service.api.schemas import Asked, Body
from recon_service.api.schemas_fields import Count
from recon_service.application.records.webhooks import Delivery, WebhookEndpoint

_URL: Final = "https://shop.example/recon-events"
_ENDPOINT: Final = "wh_0b1c2d3e4f5061728394a5b6c7d8e9f0"


class WebhookRequest(Asked):
    """Where events shall go, and which."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": _URL, "events": ["operation.ended"]}]},
    )

    url: str = Field(
        max_length=500,
        description="Where events are sent: https://…; a public address, or one that the settings allow.",
    )
    events: list[Literal["operation.ended", "batch.ended"]] = Field(
        min_length=1, max_length=2, description="Which events are wanted."
    )


class WebhookBody(Body):
    """A webhook."""

    webhook_id: str = Field(description="Id of the webhook.")
    url: str = Field(description="Where its events are sent.")
    events: list[str] = Field(description="Which events are sent there.")
    created_at: datetime = Field(description="When it was registered.")
    created_by: str = Field(description="Id of the API key that registered it.")


class NewWebhookBody(WebhookBody):
    """A webhook that was just registered."""

    secret: str = Field(description="Verifies the signatures (Standard Webhooks); shown this once.")


class WebhooksBody(Body):
    """All of them."""

    webhooks: list[WebhookBody] = Field(description="Every webhook, without its secret.")


class DeliveryBody(Body):
    """One event on its way to one webhook."""

    delivery_id: str = Field(description="Id of the delivery, to send it again.")
    event_id: str = Field(description="The header `webhook-id`: the same however often it is sent.")
    event: str = Field(description="Which event: `operation.ended`, `batch.ended` or `ping`.")
    state: Literal["waiting", "delivered", "dead"] = Field(
        description="`waiting` for its next attempt, `delivered`, or `dead`: given up after the last one, "
        "until it is sent again by hand."
    )
    attempts: Count = Field(description="How often it was sent, or tried to be.")
    status: int = Field(description="HTTP status of the last answer; 0: there was none.")
    fault: str = Field(
        description="Code of why the last attempt failed, such as `timeout`, `tls` or `connection`; empty: "
        "it did not."
    )
    created_at: datetime = Field(description="When the event happened.")
    due_at: datetime | None = Field(description="When the next attempt is due; null: it has ended.")
    ended_at: datetime | None = Field(description="When it was delivered or given up; null: it waits.")


class DeliveriesBody(Body):
    """Newest first."""

    deliveries: list[DeliveryBody] = Field(description="Newest first.")


WEBHOOK: Final[dict[str, Any]] = {
    "webhook_id": _ENDPOINT,
    "url": _URL,
    "events": ["operation.ended"],
    "created_at": "2026-03-04T10:00:00Z",
    "created_by": "1f2e3d4c5b6a",
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
