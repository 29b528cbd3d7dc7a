"""Webhooks: what is told of what happened, where it may be sent, and how they are registered and removed."""

from __future__ import annotations

import contextlib
import json

import pytest

from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.notifying.deliveries import deliveries_wait
from recon_service.application.notifying.webhooks import (
    MAX_ENDPOINTS,
    emit,
    list_deliveries,
    ping,
    register_endpoint,
    remove_endpoint,
)
from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.application.records.webhooks import Event, EventKind
from recon_service.domain.errors import Conflict, InvalidValue, NotFound
from recon_service.webhooks.addresses import WebhookAddressRefused
from recon_service.webhooks.sender import HttpWebhookSender
from tests.servers.webhook_receiver import WebhookReceiver
from tests.unit.application.notifying.webhooks_support import (
    ENDED,
    SENDER,
    Clock,
    Died,
    happened,
    register,
    round_,
)
from tests.unit.application.stores import ListQueue, ScriptedCompute


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
