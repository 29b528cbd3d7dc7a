"""Sends what the database holds for webhooks, in a thread of a process that lives as long as the service or a
worker. Any number of processes may do so at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from recon_service.application.notifying.deliveries import Deliveries, deliveries_wait, forget_deliveries
from recon_service.application.notifying.webhooks import Round, WebhookPolicy, bring_forward
from recon_service.application.ports.stores import Stores
from recon_service.application.ports.webhooks import WebhookSender
from recon_service.domain.errors import ReconError

LOOK_S: Final = 1.0
ROUNDS_BETWEEN_FORGETTING: Final = 600
ROUNDS_BETWEEN_CLOCKS: Final = 10
"""How often deliveries are looked for that a wrong clock has put off."""
SHUTDOWN_S: Final = 12.0
"""A little more than one delivery may take."""


class WebhookRelay:
    """Start it once; ``stop`` waits for the delivery that is under way."""

    def __init__(
        self,
        stores: Stores,
        sender: WebhookSender,
        policy: WebhookPolicy,
        *,
        sent: Callable[[Round], None] = lambda round_: None,
    ) -> None:
        """sent: hears what deliveries came to."""
        self._stores, self._policy, self._sent = stores, policy, sent
        self._stopping, self._bell = threading.Event(), threading.Event()
        self._deliveries = Deliveries(sender, on=stores, policy=policy, ended=self._bell.set)
        self._thread = threading.Thread(target=self._run, name="recon-webhooks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is not sent now, another process or the next start sends."""
        self._stopping.set()
        self._bell.set()
        if self._thread.is_alive():
            self._thread.join(SHUTDOWN_S)
        self._deliveries.close(SHUTDOWN_S)

    def _run(self) -> None:
        failing, rounds = False, 0
        while not self._stopping.is_set():
            try:
                if rounds % ROUNDS_BETWEEN_CLOCKS == 0:
                    bring_forward(on=self._stores, policy=self._policy)
                busy = self._round()
                if rounds % ROUNDS_BETWEEN_FORGETTING == 0:
                    forget_deliveries(on=self._stores, policy=self._policy)
                rounds += 1
            except Exception as fault:
                if not failing:
                    code = fault.code if isinstance(fault, ReconError) else "internal-fault"
                    structlog.get_logger().warning("webhooks cannot be sent", code=code, exc_info=fault)
                failing, busy = True, False
            else:
                failing = False
            if not busy:
                self._bell.wait(LOOK_S)
                self._bell.clear()

    def _round(self) -> bool:
        # What has ended first: its endpoints may be served again.
        done = self._deliveries.done()
        if done.total:
            self._sent(done)
        if done.failed or done.dead:
            structlog.get_logger().warning("webhooks failed", failed=done.failed, given_up=done.dead)
        return deliveries_wait(on=self._stores) and self._deliveries.begin() > 0
