"""Deliveries through real stores to real receivers: at least once, in spite of everything."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import sqlalchemy as sa

from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.notifying.deliveries import (
    deliver_due,
    deliveries_wait,
    forget_deliveries,
)
from recon_service.application.notifying.webhook_signatures import (
    SIGNATURE,
    TIMESTAMP,
    WebhookNotGenuine,
    new_secret,
    signed,
    verify_webhook,
)
from recon_service.application.notifying.webhooks import (
    MAX_ENDPOINTS,
    WebhookPolicy,
    bring_forward,
    emit,
    list_deliveries,
    ping,
    register_endpoint,
    remove_endpoint,
    retry_delivery,
    secrets_cipher,
)
from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.application.records.webhooks import DeliveryState, Event, EventKind
from recon_service.domain.errors import Conflict, InvalidValue, NotFound
from recon_service.webhooks.addresses import LOOPBACK, WebhookAddressRefused
from recon_service.webhooks.sender import HttpWebhookSender
from tests.servers.webhook_receiver import WebhookReceiver, accept, answer, hang
from tests.stacks import Stack
from tests.unit.application.stores import ListQueue, ScriptedCompute, open_in
from worker.webhook_relay import WebhookRelay

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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(tmp_path: Path, stack: Stack, clock: Clock) -> Iterator[Stores]:
    opened = open_in(tmp_path, stack)
    yield dataclasses.replace(opened.stores, clock=clock)
    opened.close()


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


def test_an_enrollment_tells_its_end_once_and_nothing_about_the_person(stores: Stores) -> None:
    with WebhookReceiver() as receiver:
        register(receiver, stores)
        queue, compute = ListQueue(), ScriptedCompute()
        made = request_enrollment(
            EnrollmentRequest("user-8c41", (b"x",), "consent-77"), on=stores, queue=queue
        )
        assert not deliveries_wait(on=stores)
        run_enrollment(
            made.operation.operation_id, on=stores, compute=compute, queue=queue, policy=JobPolicy()
        )
        assert round_(stores) == (1, 0, 0)
        assert round_(stores) == (0, 0, 0)
        (event,) = receiver.events.values()
        ((headers, body),) = receiver.requests
    assert event["type"] == "operation.ended"
    assert event["id"] == headers["webhook-id"]
    assert event["data"]["operation_id"] == made.operation.operation_id
    assert (event["data"]["state"], event["data"]["problem"]) == ("succeeded", None)
    assert event["data"]["template_id"].startswith("tpl_")
    assert set(event["data"]) == {"operation_id", "state", "template_id", "problem", "lane", "attempts"}
    for word in (b"user-8c41", b"consent-77", b"score", b"quality"):
        assert word not in body


@pytest.mark.parametrize("kind", ["rejected", "fault", "lost"])
def test_every_end_is_told_with_its_reason(stores: Stores, clock: Clock, kind: str) -> None:
    def script(_selfies: object) -> EnrollmentOutcome:
        if kind == "rejected":
            return EnrollmentOutcome((), None)
        if kind == "lost":
            raise KeyboardInterrupt  # the worker dies
        raise ValueError("a fault of ours")

    with WebhookReceiver() as receiver:
        register(receiver, stores)
        queue, compute = ListQueue(), ScriptedCompute(script)
        made = request_enrollment(EnrollmentRequest("ada", (b"x",), "c"), on=stores, queue=queue)
        receiver.secret = ""  # hours pass here that do not pass for the receiver
        for _ in range(4):
            with contextlib.suppress(ValueError, KeyboardInterrupt):
                run_enrollment(
                    made.operation.operation_id, on=stores, compute=compute, queue=queue, policy=JobPolicy()
                )
            clock.passes(hours=1)
        round_(stores)
        said = [json.loads(body)["data"] for _, body in receiver.requests]
    expected = {"rejected": ("rejected", None), "fault": ("failed", "internal-fault")}
    assert [(d["state"], d["problem"]) for d in said] == [expected.get(kind, ("failed", "worker-lost"))]


def test_what_is_rolled_back_is_not_told(stores: Stores) -> None:
    with WebhookReceiver() as receiver:
        register(receiver, stores)
        broken = Event(EventKind.OPERATION_ENDED, {"state": "succeeded"})
        with contextlib.suppress(Died), stores.database.transaction() as tx:
            assert emit(tx, broken, now=stores.clock()) == 1
            raise Died
        assert round_(stores) == (0, 0, 0)
        with stores.database.transaction() as tx:
            assert emit(tx, Event(EventKind.BATCH_ENDED, {"batch_id": "b"}), now=stores.clock()) == 0
    assert receiver.requests == []


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


def test_addresses_are_refused_when_registered_and_again_when_sent(stores: Stores) -> None:
    careful = HttpWebhookSender(limit_s=0.5)
    for url in ("http://127.0.0.1:9/", "https://169.254.169.254/latest", "https://[::1]/"):
        with pytest.raises(WebhookAddressRefused):
            register_endpoint(url, ENDED, actor="ops", sender=careful, on=stores)
    with WebhookReceiver() as receiver:
        endpoint_id = register(receiver, stores)
        happened(stores)
        assert round_(stores, careful) == (0, 1, 0), "what was allowed yesterday may not be today"
        assert list_deliveries(endpoint_id, on=stores)[0].fault == "address-refused"
        assert receiver.requests == []


def test_the_secret_lies_sealed_for_its_own_row(stores: Stores) -> None:
    with WebhookReceiver() as receiver:
        endpoint_id = register(receiver, stores)
        with stores.database.snapshot() as tx:
            endpoint = tx.webhooks.get(endpoint_id)
            key = tx.wrapped_keys.service_key("webhooks")
        assert endpoint is not None
        assert key is not None
        assert receiver.secret.encode() not in endpoint.sealed_secret
        assert "sealed" not in repr(endpoint)
        moved = stores.vault.cipher(key)
        with pytest.raises(Exception, match="authenticate"):
            moved.open(endpoint.sealed_secret, place="webhook_endpoints", row="wh_other")


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


def test_removing_a_webhook_drops_what_waits(stores: Stores) -> None:
    with WebhookReceiver() as receiver:
        endpoint_id = register(receiver, stores)
        happened(stores)
        remove_endpoint(endpoint_id, actor="ops", on=stores)
        assert round_(stores) == (0, 0, 0)
        for call in (
            lambda: remove_endpoint(endpoint_id, actor="ops", on=stores),
            lambda: ping(endpoint_id, actor="ops", on=stores),
            lambda: list_deliveries(endpoint_id, on=stores),
        ):
            with pytest.raises(NotFound):
                call()


def test_limits(stores: Stores) -> None:
    with WebhookReceiver() as receiver:
        for bad in (frozenset[EventKind](), frozenset({EventKind.PING})):
            with pytest.raises(InvalidValue):
                register_endpoint(receiver.url(), bad, actor="ops", sender=SENDER, on=stores)
        for _ in range(MAX_ENDPOINTS):
            register(receiver, stores)
        with pytest.raises(Conflict):
            register(receiver, stores)
    for about in ({str(n): n for n in range(30)}, {"x": "y" * 201}):
        with pytest.raises(InvalidValue):
            Event(EventKind.PING, about)


def test_signatures_hold_what_they_promise() -> None:
    secret, now = new_secret(), datetime.now(UTC)
    body = json.dumps({"id": "evt_1"}).encode()
    headers = signed(secret, "evt_1", body, at=now)
    assert verify_webhook(secret, headers, body, now=now + timedelta(minutes=4)) == "evt_1"
    rotated = {**headers, SIGNATURE: f"v1,AAAA {headers[SIGNATURE]}"}
    assert verify_webhook(secret, rotated, body, now=now) == "evt_1", "any of several signatures will do"
    for wrong_headers, wrong_body, moment in (
        (headers, body + b" ", now),
        ({**headers, "webhook-id": "evt_2"}, body, now),
        ({**headers, TIMESTAMP: str(int(now.timestamp()) + 1)}, body, now),
        (headers, body, now + timedelta(minutes=6)),
        (headers, body, now - timedelta(minutes=6)),
        ({**headers, SIGNATURE: ""}, body, now),
        ({**headers, TIMESTAMP: "²"}, body, now),
        ({}, body, now),
    ):
        with pytest.raises(WebhookNotGenuine):
            verify_webhook(secret, wrong_headers, wrong_body, now=moment)
    with pytest.raises(WebhookNotGenuine):
        verify_webhook(new_secret(), headers, body, now=now)


def test_the_signature_of_the_specification() -> None:
    """An example made with another implementation of Standard Webhooks."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    at = datetime.fromtimestamp(1614265330, tz=UTC)
    headers = signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at=at)
    assert headers[SIGNATURE] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
