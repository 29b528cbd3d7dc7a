"""The process beside a worker, as it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recon_service.application.notifying.webhooks import list_deliveries, ping, register_endpoint
from recon_service.application.records.webhooks import DeliveryState, EventKind
from recon_service.bootstrap import open_stores
from recon_service.settings import Settings
from recon_service.webhooks.addresses import LOOPBACK
from recon_service.webhooks.sender import HttpWebhookSender
from tests.integration.running import eventually
from tests.servers.processes import free_port
from tests.servers.webhook_receiver import WebhookReceiver
from tests.stacks import make_stack


def test_who_has_no_way_out_uses_up_no_attempt_of_a_webhook(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with make_stack("production", request) as stack, WebhookReceiver() as receiver:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PROMETHEUS")},
            **stack.environment(),
            "RECON_STATE_DIR": str(tmp_path),
            "RECON_METRICS_PORT": str(free_port()),
            "RECON_WEBHOOK_NETWORKS": "127.0.0.0/8",
        }
        named = {k.removeprefix("RECON_").lower(): v for k, v in environment.items()}
        opened = open_stores(
            Settings.model_validate({k: v for k, v in named.items() if k in Settings.model_fields})
        )
        endpoint, receiver.secret = register_endpoint(
            receiver.url(),
            frozenset({EventKind.OPERATION_ENDED}),
            actor="ops",
            sender=HttpWebhookSender(allowed=LOOPBACK),
            on=opened.stores,
        )
        ping(endpoint.endpoint_id, actor="ops", on=opened.stores)

        def beside(sending: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [sys.executable, "-m", "worker.housekeeping"],
                stdin=subprocess.PIPE,
                env={**environment, "RECON_WEBHOOK_SENDING": sending},
            )

        def delivery() -> tuple[DeliveryState, int]:
            (one,) = list_deliveries(endpoint.endpoint_id, on=opened.stores)
            return one.state, one.attempts

        silent, sending = beside("false"), None
        try:
            assert eventually(lambda: listens(int(environment["RECON_METRICS_PORT"])), limit_s=30.0)
            time.sleep(1.5)  # longer than the relay waits between two looks
            assert delivery() == (DeliveryState.WAITING, 0)
            silent.communicate(timeout=20)
            sending = beside("true")
            assert eventually(lambda: delivery() == (DeliveryState.DELIVERED, 1), limit_s=30.0)
        finally:
            for process in (silent, sending):
                if process is not None and process.poll() is None:
                    process.communicate(timeout=20)
        opened.close()


def listens(port: int) -> bool:
    import socket

    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
