"""Webhooks: whom the service tells by itself, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from recon_service.api.parameters import DeliveryId, WebhookId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_webhooks import (
    DELIVERY,
    NEW_WEBHOOK,
    WEBHOOK,
    DeliveriesBody,
    DeliveryBody,
    NewWebhookBody,
    WebhookRequest,
    WebhooksBody,
    delivery_body,
    new_webhook_body,
    webhook_body,
)
from recon_service.api.security import OpsKey
from recon_service.api.service import service_of
from recon_service.application.notifying.webhooks import (
    list_deliveries,
    list_endpoints,
    ping,
    register_endpoint,
    remove_endpoint,
    retry_delivery,
)
from recon_service.application.records.webhooks import DeliveryState, EventKind
from recon_service.bootstrap import webhook_sender

router = APIRouter(tags=["ops"])


@router.post(
    "/v1/webhooks",
    status_code=201,
    summary="Have events sent to an address",
    response_description="The webhook is registered; this answer alone has its secret.",
    responses={201: example(NEW_WEBHOOK), **documented(400, 401, 403, 409, 422, 500, 503)},
)
def register_webhook(request: Request, asked: WebhookRequest, key: OpsKey) -> NewWebhookBody:
    """The answer holds the secret that verifies signatures; it is not shown again. Events are sent as
    `application/json` with the headers of Standard Webhooks, at least once, until a 2xx answers.
    """
    service = service_of(request)
    kinds = frozenset(EventKind(name) for name in asked.events)
    endpoint, secret = register_endpoint(
        asked.url, kinds, actor=key.key_id, sender=webhook_sender(service.settings), on=service.stores
    )
    return new_webhook_body(endpoint, secret)


@router.get(
    "/v1/webhooks",
    summary="List the webhooks",
    response_description="Every webhook.",
    responses={200: example({"webhooks": [WEBHOOK]}), **documented(401, 403, 500, 503)},
)
def webhooks(request: Request, key: OpsKey) -> WebhooksBody:
    """Without their secrets."""
    return WebhooksBody(webhooks=[webhook_body(e) for e in list_endpoints(on=service_of(request).stores)])


@router.delete(
    "/v1/webhooks/{webhook_id}",
    status_code=204,
    summary="Send no more events to an address",
    response_description="Removed.",
    responses=documented(401, 403, 404, 422, 500, 503),
)
def remove_webhook(request: Request, webhook_id: WebhookId, key: OpsKey) -> None:
    """What waits to be sent there is dropped."""
    remove_endpoint(webhook_id, actor=key.key_id, on=service_of(request).stores)


@router.post(
    "/v1/webhooks/{webhook_id}/ping",
    status_code=202,
    summary="Send an event that means nothing",
    response_description="The event is on its way; the list of deliveries says what became of it.",
    responses={
        202: example({**DELIVERY, "event": "ping", "state": "waiting", "due_at": "2026-03-04T10:00:00Z"}),
        **documented(401, 403, 404, 422, 500, 503),
    },
)
def ping_webhook(request: Request, webhook_id: WebhookId, key: OpsKey) -> DeliveryBody:
    """To see whether events arrive."""
    return delivery_body(ping(webhook_id, actor=key.key_id, on=service_of(request).stores))


@router.get(
    "/v1/webhooks/{webhook_id}/deliveries",
    summary="What was sent, what waits, what was given up",
    response_description="Deliveries, newest first.",
    responses={200: example({"deliveries": [DELIVERY]}), **documented(401, 403, 404, 422, 500, 503)},
)
def webhook_deliveries(
    request: Request,
    webhook_id: WebhookId,
    key: OpsKey,
    state: Annotated[DeliveryState | None, Query(description="Deliveries in this state alone.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Entries of a page, at most.")] = 100,
) -> DeliveriesBody:
    """Newest first; those that ended stay listed for a week."""
    found = list_deliveries(webhook_id, on=service_of(request).stores, state=state, limit=limit)
    return DeliveriesBody(deliveries=[delivery_body(d) for d in found])


@router.post(
    "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/retry",
    status_code=204,
    summary="Send again what was given up",
    response_description="The delivery waits again.",
    responses=documented(401, 403, 404, 422, 500, 503),
)
def retry_webhook_delivery(
    request: Request,
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
    key: OpsKey,
) -> None:
    """With all its attempts; the event keeps its id."""
    retry_delivery(webhook_id, delivery_id, actor=key.key_id, on=service_of(request).stores)
