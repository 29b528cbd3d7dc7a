"""Deliveries to real receivers: at least once, later and later, and nobody waits for somebody else's."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
import sqlalchemy as sa

from recon_service.application.notifying.deliveries import forget_deliveries
from recon_service.application.notifying.webhook_signatures import SIGNATURE
from recon_service.application.notifying.webhooks import (
    bring_forward,
    list_deliveries,
    retry_delivery,
    secrets_cipher,
)
from recon_service.application.ports.stores import Stores
from recon_service.application.records.webhooks import DeliveryState
from recon_service.domain.errors import NotFound
from recon_service.webhooks.addresses import LOOPBACK
from recon_service.webhooks.sender import HttpWebhookSender
from tests.servers.webhook_receiver import WebhookReceiver, accept, answer, hang
from tests.unit.application.notifying.webhooks_support import POLICY, Clock, Died, happened, register, round_
from worker.webhook_relay import WebhookRelay


def test_failures_are_tried_again_later_and_later_and_given_up_at_last(stores: Stores, clock: Clock) -> None:
    with WebhookReceiver(then=lambda h: answer(h, 503)) as receiver:
        endpoint_id = register(receiver, stores)
        event = happened(stores)
        assert round_(stores) == (0, 1, 0)
        clock.passes(seconds=4)
        assert round_(stores) == (0, 0, 0), "not before its time"
        clock.passes(seconds=2)
        assert round_(stores) == (0, 1, 0)
        clock.passes(seconds=19)
        assert round_(stores) == (0, 0, 0)
        clock.passes(seconds=2)
        assert round_(stores) == (0, 0, 1)
        (dead,) = list_deliveries(endpoint_id, on=stores, state=DeliveryState.DEAD)
        assert (dead.attempts, dead.status, dead.fault) == (3, 503, "refused")
        clock.passes(days=1)
        assert round_(stores) == (0, 0, 0)
        assert receiver.ids == [event.event_id] * 3
        assert len({h[SIGNATURE] for h, _ in receiver.requests}) == 3, "each attempt is signed with its time"
        with stores.database.snapshot() as tx:
            assert (tx.webhooks.state().waiting, tx.webhooks.state().dead) == (0, 1)
        retry_delivery(endpoint_id, dead.delivery_id, actor="ops", on=stores)
        assert round_(stores) == (0, 1, 0)
        with pytest.raises(NotFound):
            retry_delivery(endpoint_id, dead.delivery_id, actor="ops", on=stores)
        with stores.database.snapshot() as tx:
            assert [e.action for e in tx.audit.entries()] == [
                "webhook.registered",
                "webhook.delivery-retried",
            ]


def test_a_receiver_that_says_gone_is_not_asked_again(stores: Stores) -> None:
    with WebhookReceiver(then=lambda h: answer(h, 410)) as receiver:
        register(receiver, stores)
        happened(stores)
        assert round_(stores) == (0, 0, 1)


def test_who_dies_between_sending_and_noting_sends_again_with_the_same_id(
    stores: Stores, clock: Clock
) -> None:
    class Dying(HttpWebhookSender):
        def send(self, *arguments):  # type: ignore[no-untyped-def]
            super().send(*arguments)
            raise Died

    with WebhookReceiver() as receiver:
        register(receiver, stores)
        event = happened(stores)
        with pytest.raises(Died):
            round_(stores, Dying(allowed=LOOPBACK))
        assert round_(stores) == (0, 0, 0), "as long as its sender may live, it is nobody else's"
        clock.passes(seconds=61)
        assert round_(stores) == (1, 0, 0)
        assert receiver.ids == [event.event_id] * 2
        assert list(receiver.events) == [event.event_id], "who drops what it has seen, sees it once"


def test_a_receiver_that_hangs_does_not_hold_up_others(stores: Stores, clock: Clock) -> None:
    with WebhookReceiver(then=hang) as slow, WebhookReceiver() as quick:
        register(slow, stores)
        register(quick, stores)
        for number in range(3):
            happened(stores, number)
        assert round_(stores) == (3, 3, 0)
        assert len(quick.events) == 3


def test_what_happens_while_a_receiver_hangs_is_told_to_the_others_at_once(stores: Stores) -> None:
    released = threading.Event()
    with (
        WebhookReceiver(then=lambda h: answer(h, 204 if released.wait(30) else 500)) as slow,
        WebhookReceiver() as quick,
        relay(stores),
    ):
        register(slow, stores)
        register(quick, stores)
        for number in range(6):
            happened(stores, number)
            assert eventually(lambda told=number + 1: len(quick.events) == told), "it waits for the slow one"
        assert len(slow.requests) == 1, "one at a time"
        released.set()
        assert eventually(lambda: len(slow.events) == 6)


def test_deliveries_that_were_taken_and_not_sent_count_no_attempt(stores: Stores, clock: Clock) -> None:
    """The first takes the whole lease; the others are left for the next round, with all their attempts."""

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        clock.passes(seconds=50)
        answer(handler, 204)

    with WebhookReceiver(slowly) as receiver:
        endpoint_id = register(receiver, stores)
        for number in range(3):
            happened(stores, number)
        assert round_(stores) == (1, 0, 0)
        attempts = sorted(d.attempts for d in list_deliveries(endpoint_id, on=stores))
        assert attempts == [0, 0, 1]
        assert round_(stores) == (2, 0, 0), "at once"


def test_an_endpoint_whose_secret_cannot_be_read_is_given_up_and_holds_up_nobody(
    stores: Stores, clock: Clock
) -> None:
    with WebhookReceiver() as broken, WebhookReceiver() as sound:
        endpoint_id = register(broken, stores)
        register(sound, stores)
        with stores.database.transaction() as tx:
            cipher = secrets_cipher(tx, stores)
            other = cipher.seal(b"secret", place="webhook_endpoints", row="another row")
            endpoints = sa.Table("webhook_endpoints", sa.MetaData(), autoload_with=tx._connection)
            ours = endpoints.c.endpoint_id == endpoint_id
            tx._connection.execute(sa.update(endpoints).where(ours).values(sealed_secret=other))
        happened(stores)
        assert round_(stores) == (1, 1, 0)
        for _ in range(2):
            clock.passes(days=1)
            round_(stores)
        (dead,) = list_deliveries(endpoint_id, on=stores)
        assert (dead.state, dead.fault) == (DeliveryState.DEAD, "secret-unreadable")
        assert broken.requests == []
        assert len(sound.events) == 1


def test_two_senders_do_not_send_the_same(stores: Stores) -> None:
    with WebhookReceiver() as receiver:
        register(receiver, stores)
        for number in range(6):
            happened(stores, number)
        with stores.database.transaction() as tx:
            first = tx.webhooks.take(
                now=stores.clock(), until=stores.clock() + timedelta(minutes=1), per_endpoint=4
            )
        assert len(first) == 4
        assert round_(stores) == (2, 0, 0)


@contextlib.contextmanager
def relay(stores: Stores) -> Iterator[None]:
    made = WebhookRelay(stores, HttpWebhookSender(allowed=LOOPBACK), POLICY)
    made.start()
    try:
        yield
    finally:
        made.stop()


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def test_what_a_clock_that_was_ahead_has_put_off_is_sent_when_it_is_right_again(
    stores: Stores, clock: Clock
) -> None:
    """Each by how long it may wait at most: nothing at first, the policy's backoff after a failure."""

    def fails(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, 500)

    with WebhookReceiver(fails, accept, accept, fails) as receiver:
        register(receiver, stores)
        receiver.secret = ""  # it would refuse what comes from another time
        happened(stores)
        assert round_(stores) == (0, 1, 0)
        assert bring_forward(on=stores, policy=POLICY) == 0, "it waits as long as it should"
        clock.passes(hours=3)
        assert round_(stores) == (1, 0, 0)
        happened(stores, 2)
        clock.passes(seconds=-20)
        assert bring_forward(on=stores, policy=POLICY) == 0, "clocks are never quite the same"
        clock.passes(hours=-3)
        assert round_(stores) == (0, 0, 0)
        assert bring_forward(on=stores, policy=POLICY) == 1
        assert round_(stores) == (1, 0, 0)
        clock.passes(hours=3)
        happened(stores, 3)
        assert round_(stores) == (0, 1, 0)
        clock.passes(hours=-3)
        assert bring_forward(on=stores, policy=POLICY) == 1, "also what had failed"
        assert round_(stores) == (1, 0, 0)
    assert bring_forward(on=stores, policy=POLICY) == 0


def test_what_ended_is_forgotten_after_a_while_and_what_waits_is_not(stores: Stores, clock: Clock) -> None:
    with WebhookReceiver() as receiver:
        endpoint_id = register(receiver, stores)
        happened(stores)
        round_(stores)
        clock.passes(days=8)
        happened(stores)
        assert forget_deliveries(on=stores, policy=POLICY) == 1
        assert [d.state for d in list_deliveries(endpoint_id, on=stores)] == [DeliveryState.WAITING]
