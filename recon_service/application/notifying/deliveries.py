"""Sending what waits for webhooks, until it is accepted or given up.

At least once: who dies between sending and noting it sends again, with the same event id. Nobody waits for an
endpoint: a slow one holds up its own deliveries alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from recon_service.application.keeping.pages import in_pages
from recon_service.application.notifying.webhook_signatures import signed
from recon_service.application.notifying.webhooks import (
    MAX_ENDPOINTS,
    PLACE,
    Round,
    WebhookPolicy,
    secrets_cipher,
)
from recon_service.application.ports.stores import Stores
from recon_service.application.ports.vault import SubjectCipher
from recon_service.application.ports.webhooks import Answer, WebhookSender
from recon_service.application.records.webhooks import Delivery, WebhookEndpoint
from recon_service.domain.errors import StorageFault


class Deliveries:
    """What one process sends. An endpoint has one thread of it at a time, and no other endpoint waits for
    that. To be called from one thread.
    """

    def __init__(
        self,
        sender: WebhookSender,
        *,
        on: Stores,
        policy: WebhookPolicy,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """ended: called, in any thread, when an endpoint has been served."""
        self._sender, self._on, self._policy, self._tell = sender, on, policy, ended
        self._pool = ThreadPoolExecutor(MAX_ENDPOINTS, thread_name_prefix="recon-webhook")
        self._under_way: dict[str, Future[Round]] = {}
        self._stopping = threading.Event()

    def begin(self) -> int:
        """Take what is due of endpoints that are not being served, and begin to send it; how many deliveries.
        Raises StorageFault.
        """
        on, now = self._on, self._on.clock()
        with on.database.transaction() as tx:
            deliveries = tx.webhooks.take(
                now=now,
                until=now + self._policy.lease,
                per_endpoint=self._policy.at_once,
                without=tuple(self._under_way),
            )
            if not deliveries:
                return 0
            endpoints = {e.endpoint_id: e for e in tx.webhooks.all()}
            cipher = secrets_cipher(tx, on)
        for name, endpoint in endpoints.items():
            if waiting := [d for d in deliveries if d.endpoint_id == name]:
                future = self._pool.submit(self._serve, endpoint, waiting, cipher)
                self._under_way[name] = future
                future.add_done_callback(lambda _: self._tell())
        return len(deliveries)

    def done(self) -> Round:
        """What came of the endpoints that were served since this was last asked. Raises what ended one of
        them: what was sent and could not be noted is sent again.
        """
        ended = {name: future for name, future in self._under_way.items() if future.done()}
        for name in ended:
            del self._under_way[name]
        return sum((future.result() for future in ended.values()), Round())

    def finish(self) -> Round:
        """Wait for all that is under way; then as ``done``."""
        wait(self._under_way.values())
        return self.done()

    def close(self, limit_s: float = 0.0) -> None:
        """Begin nothing more, and wait so long for the delivery of each endpoint that is under way."""
        self._stopping.set()
        wait(self._under_way.values(), limit_s)
        self._pool.shutdown(wait=False)

    def _serve(self, endpoint: WebhookEndpoint, waiting: Sequence[Delivery], cipher: SubjectCipher) -> Round:
        counts = {"delivered": 0, "failed": 0, "dead": 0}
        for number, delivery in enumerate(waiting):
            # The lease may end before the answer comes: then it is somebody else's, in a moment.
            late = self._on.clock() >= delivery.due_at - self._policy.lease / 4
            if late or self._stopping.is_set():
                with self._on.database.transaction() as tx:
                    tx.webhooks.untried([d.delivery_id for d in waiting[number:]], now=self._on.clock())
                break
            counts[self._note(delivery, self._send(endpoint, delivery, cipher))] += 1
        return Round(**counts)

    def _send(self, endpoint: WebhookEndpoint, delivery: Delivery, cipher: SubjectCipher) -> Answer:
        try:
            secret = cipher.open(endpoint.sealed_secret, place=PLACE, row=endpoint.endpoint_id).decode()
        except StorageFault:
            return Answer(fault="secret-unreadable")
        body = delivery.body.encode()
        headers = signed(secret, delivery.event_id, body, at=self._on.clock())
        return self._sender.send(endpoint.url, headers, body)

    def _note(self, delivery: Delivery, answer: Answer) -> str:
        now = self._on.clock()
        with self._on.database.transaction() as tx:
            if answer.accepted:
                tx.webhooks.delivered(delivery.delivery_id, status=answer.status, now=now)
                return "delivered"
            # 410 Gone: the receiver says that it will never want it.
            last = delivery.attempts >= self._policy.attempts or answer.status == 410
            tx.webhooks.failed(
                delivery.delivery_id,
                status=answer.status,
                fault=answer.fault,
                due=None if last else now + self._policy.wait_after(delivery.attempts),
                now=now,
            )
            return "dead" if last else "failed"


def deliver_due(sender: WebhookSender, *, on: Stores, policy: WebhookPolicy) -> Round:
    """Send what is due, once each, and wait for it; what fails waits longer each time. Raises as
    ``Deliveries``.
    """
    deliveries = Deliveries(sender, on=on, policy=policy)
    try:
        deliveries.begin()
        return deliveries.finish()
    finally:
        deliveries.close()


def deliveries_wait(*, on: Stores) -> bool:
    """Whether anything is to be sent, without a lock."""
    with on.database.snapshot() as tx:
        return tx.webhooks.due(now=on.clock())


def forget_deliveries(*, on: Stores, policy: WebhookPolicy) -> int:
    """Drop what ended long ago; how many."""
    before = on.clock() - policy.kept
    return in_pages(lambda tx, limit: tx.webhooks.forget(ended_before=before, limit=limit), on=on)
