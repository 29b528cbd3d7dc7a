"""Webhooks that are registered at real receivers, and rounds of deliveries to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recon_service.application.notifying.deliveries import deliver_due
from recon_service.application.notifying.webhooks import WebhookPolicy, emit, register_endpoint
from recon_service.application.ports.stores import Stores
from recon_service.application.records.webhooks import Event, EventKind
from recon_service.webhooks.addresses import LOOPBACK
from recon_service.webhooks.sender import HttpWebhookSender
from tests.servers.webhook_receiver import WebhookReceiver

POLICY = WebhookPolicy(attempts=3, backoff=timedelta(seconds=5))
ENDED = frozenset({EventKind.OPERATION_ENDED})
SENDER = HttpWebhookSender(allowed=LOOPBACK, limit_s=0.5)


class Died(BaseException):
    pass


class Clock:
    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.moment

    def passes(self, **amount: float) -> None:
        self.moment += timedelta(**amount)


def register(receiver: WebhookReceiver, stores: Stores) -> str:
    endpoint, receiver.secret = register_endpoint(
        receiver.url(), ENDED, actor="ops", sender=SENDER, on=stores
    )
    return endpoint.endpoint_id


def happened(stores: Stores, number: int = 1) -> Event:
    event = Event(EventKind.OPERATION_ENDED, {"operation_id": f"op_{number}", "state": "succeeded"})
    with stores.database.transaction() as tx:
        emit(tx, event, now=stores.clock())
    return event


def round_(stores: Stores, sender: HttpWebhookSender = SENDER):  # type: ignore[no-untyped-def]
    done = deliver_due(sender, on=stores, policy=POLICY)
    return done.delivered, done.failed, done.dead
