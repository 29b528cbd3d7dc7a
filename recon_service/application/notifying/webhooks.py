"""Webhooks: addresses are registered, and events are put beside what they tell of, in the same transaction.
``deliveries`` sends them afterwards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.keeping.audit import record
from recon_service.application.keeping.backoff import CLOCKS_DIFFER, wait_after
from recon_service.application.keeping.withdrawals import note_withdrawals, withdraw
from recon_service.application.notifying.webhook_signatures import new_secret
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.records import SERVICE_OWNER
from recon_service.application.ports.stores import Stores
from recon_service.application.ports.vault import SubjectCipher
from recon_service.application.ports.webhooks import WebhookSender
from recon_service.application.records.batches import Batch, BatchState, ItemState, Tally
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.operations import Operation, OperationState
from recon_service.application.records.webhooks import (
    Delivery,
    DeliveryState,
    Event,
    EventKind,
    WebhookEndpoint,
)
from recon_service.application.records.withdrawals import WithdrawalKind
from recon_service.domain.errors import Conflict, InvalidValue, NotFound

MAX_ENDPOINTS: Final = 20
KEY_NAME: Final = "webhooks"
PLACE: Final = "webhook_endpoints"


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """attempts: until a delivery is given up. backoff: wait after the first failed one, four times as long
    after each further one, up to ``longest``. lease: who has been sending for so long is taken for dead.
    at_once: of one endpoint. kept: ended deliveries are listed for so long.
    """

    attempts: int = 8
    backoff: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=6)
    lease: timedelta = timedelta(seconds=60)
    at_once: int = 4
    kept: timedelta = timedelta(days=7)

    def wait_after(self, attempts: int) -> timedelta:
        """Until the next attempt, after so many."""
        return wait_after(attempts, first=self.backoff, longest=self.longest)

    def longest_wait(self, attempts: int) -> timedelta:
        """Of a delivery that was tried so often."""
        return max(self.lease, self.wait_after(attempts)) if attempts else timedelta(0)


@dataclass(frozen=True, slots=True)
class Round:
    """What sending came to. failed: will be tried again; dead: will not."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0

    @property
    def total(self) -> int:
        return self.delivered + self.failed + self.dead

    def __add__(self, other: Round) -> Round:
        return Round(self.delivered + other.delivered, self.failed + other.failed, self.dead + other.dead)


def emit(tx: Transaction, event: Event, *, now: datetime) -> int:
    """Put an event on its way to whoever wants it, in the transaction of what it tells of; to how many."""
    wanting = tx.webhooks.wanting(event.kind)
    _enqueue(tx, event, wanting, now)
    return len(wanting)


def operation_ended(
    operation: Operation, state: OperationState, *, problem: str = "", template_id: str | None = None
) -> Event:
    """The event of an enrollment's end. The subject is not named: ids and states say whom to ask about."""
    return Event(
        EventKind.OPERATION_ENDED,
        {
            "operation_id": operation.operation_id,
            "state": state.value,
            "template_id": template_id,
            "problem": problem or None,
            "lane": operation.lane.value,
            "attempts": operation.attempts,
        },
    )


def batch_ended(batch: Batch, state: BatchState, tally: Tally) -> Event:
    """The event of a batch whose items all have their end, that was cancelled, or whose templates were
    exchanged.
    """
    counts = {s.value: tally.states.get(s, 0) for s in ItemState}
    return Event(EventKind.BATCH_ENDED, {"batch_id": batch.batch_id, "state": state.value, **counts})


def register_endpoint(
    url: str, kinds: frozenset[EventKind], *, actor: str, sender: WebhookSender, on: Stores
) -> tuple[WebhookEndpoint, str]:
    """The endpoint and its secret, which is shown this once. Raises WebhookAddressRefused, Conflict."""
    if not kinds or EventKind.PING in kinds:
        raise InvalidValue("name the events that are wanted", next_step="operation.ended, batch.ended")
    sender.refuse(url)
    secret, endpoint_id = new_secret(), new_id("wh")
    for last in (False, True):
        try:
            with on.database.transaction() as tx:
                if len(tx.webhooks.all()) >= MAX_ENDPOINTS:
                    raise TooManyEndpoints(
                        f"there are {MAX_ENDPOINTS} webhooks already",
                        next_step="Remove one that is not used.",
                    )
                sealed = secrets_cipher(tx, on, make=True).seal(secret.encode(), place=PLACE, row=endpoint_id)
                endpoint = WebhookEndpoint(endpoint_id, url, kinds, sealed, on.clock(), actor)
                tx.webhooks.add(endpoint)
                record(tx, on=on, action="webhook.registered", actor=actor, object_id=endpoint_id)
            return endpoint, secret
        except TooManyEndpoints:
            raise
        except Conflict:  # another request made the key at this moment
            if last:
                raise
    raise AssertionError("unreachable")


class TooManyEndpoints(Conflict):
    """As many webhooks as there may be are registered."""

    code = "too-many-webhooks"
    title = "There are too many webhooks"


def list_endpoints(*, on: Stores) -> list[WebhookEndpoint]:
    """Oldest first."""
    with on.database.snapshot() as tx:
        return tx.webhooks.all()


def remove_endpoint(endpoint_id: str, *, actor: str, on: Stores) -> None:
    """Nothing is sent there any more, not even what waits. Raises NotFound."""
    with on.database.transaction() as tx:
        if not tx.webhooks.remove(endpoint_id):
            raise _no_endpoint()
        withdraw(WithdrawalKind.WEBHOOK, endpoint_id, tx, on=on)
        record(tx, on=on, action="webhook.removed", actor=actor, object_id=endpoint_id)
    note_withdrawals(on=on)


def ping(endpoint_id: str, *, actor: str, on: Stores) -> Delivery:
    """Send an event that means nothing. Raises NotFound."""
    with on.database.transaction() as tx:
        if tx.webhooks.get(endpoint_id) is None:
            raise _no_endpoint()
        (delivery,) = _enqueue(tx, Event(EventKind.PING, {}), [endpoint_id], on.clock())
        record(tx, on=on, action="webhook.pinged", actor=actor, object_id=endpoint_id)
    return delivery


def bring_forward(*, on: Stores, policy: WebhookPolicy) -> int:
    """What only a clock that was ahead can have put off so far is due now, as jobs are; how many."""
    now = on.clock()
    latest = [now + policy.longest_wait(tried) + CLOCKS_DIFFER for tried in range(policy.attempts + 1)]
    with on.database.transaction() as tx:
        return tx.webhooks.bring_forward(now=now, latest=latest)


def list_deliveries(
    endpoint_id: str, *, on: Stores, state: DeliveryState | None = None, limit: int = 100
) -> list[Delivery]:
    """Newest first. Raises NotFound."""
    with on.database.snapshot() as tx:
        if tx.webhooks.get(endpoint_id) is None:
            raise _no_endpoint()
        return tx.webhooks.deliveries(endpoint_id, state=state, limit=min(max(limit, 1), 500))


def retry_delivery(endpoint_id: str, delivery_id: str, *, actor: str, on: Stores) -> None:
    """A dead delivery waits again, with all its attempts. Raises NotFound."""
    with on.database.transaction() as tx:
        if not tx.webhooks.revive(delivery_id, endpoint_id=endpoint_id, now=on.clock()):
            raise NotFound("there is no dead delivery of that id", next_step="List them with ?state=dead.")
        record(tx, on=on, action="webhook.delivery-retried", actor=actor, object_id=delivery_id)


def _enqueue(tx: Transaction, event: Event, endpoint_ids: list[str], now: datetime) -> list[Delivery]:
    body = json.dumps(
        {
            "id": event.event_id,
            "type": event.kind.value,
            "timestamp": now.isoformat(timespec="milliseconds"),
            "data": dict(event.about),
        },
        separators=(",", ":"),
    )
    made = [
        Delivery(new_id("dlv"), endpoint_id, event.event_id, event.kind, body, created_at=now, due_at=now)
        for endpoint_id in endpoint_ids
    ]
    if made:
        tx.webhooks.enqueue(made)
    return made


def secrets_cipher(tx: Transaction, on: Stores, *, make: bool = False) -> SubjectCipher:
    """Of the key that seals the secrets; rotated with the master key like every other."""
    key = tx.wrapped_keys.service_key(KEY_NAME)
    if key is None:
        if not make:
            raise NotFound("the key of the webhooks is missing", next_step="Register them anew.")
        key = on.vault.new_key(SERVICE_OWNER)
        tx.wrapped_keys.add_service_key(KEY_NAME, key)
    return on.vault.cipher(key)


def _no_endpoint() -> NotFound:
    return NotFound("there is no such webhook", next_step="List them with GET /v1/webhooks.")
