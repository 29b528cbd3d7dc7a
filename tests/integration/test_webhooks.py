"""Webhooks of a real service, which is killed between sending and noting."""

from __future__ import annotations

from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import sqlalchemy as sa

from recon_service.storage.webhook_tables import webhook_deliveries
from tests.integration.running import Server, eventually, portrait_jpeg, selfies
from tests.servers.webhook_receiver import WebhookReceiver, answer


def test_killed_between_sending_and_noting_it_sends_again_with_the_same_id(tmp_path: Path) -> None:
    server = Server(tmp_path / "state", {"RECON_WEBHOOK_BACKOFF_SECONDS": "0.1"}).start()

    def fail(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, 500)

    def kill(handler: BaseHTTPRequestHandler) -> None:
        server.kill()
        answer(handler, 204)

    with WebhookReceiver(fail, kill) as receiver, server.client() as client:
        made = client.post("/v1/webhooks", json={"url": receiver.url(), "events": ["operation.ended"]})
        assert made.status_code == 201, made.text
        receiver.secret, webhook = made.json()["secret"], made.json()["webhook_id"]
        # Registered and asked for by different processes of ours, told by whoever comes first.
        accepted = client.post(
            "/v1/subjects/user-8c41/enrollments",
            files=selfies(portrait_jpeg("astronaut")),
            data={"consent_id": "consent-1"},
        )
        assert accepted.status_code == 202
        assert eventually(lambda: len(receiver.ids) == 2, limit_s=60.0)
        assert server.process is not None
        server.process.wait(10)

        server.start()
        with server.database() as db:  # the time passes after which its sender is taken for dead
            db.execute(sa.update(webhook_deliveries).values(due_at=datetime.now(UTC)))
        assert eventually(lambda: len(receiver.ids) == 3, limit_s=60.0)
        assert len(set(receiver.ids)) == 1
        (event,) = receiver.events.values()
        assert event["data"]["operation_id"] == accepted.json()["operation_id"]
        assert event["data"]["state"] == "succeeded"

        def delivered() -> bool:
            (told,) = client.get(f"/v1/webhooks/{webhook}/deliveries").json()["deliveries"]
            return told["state"] == "delivered" and told["attempts"] == 3 and told["due_at"] is None

        assert eventually(delivered)
        assert client.get("/v1/webhooks").json()["webhooks"][0]["events"] == ["operation.ended"]
        log = server.log.read_text()
        assert receiver.secret not in log
        assert client.delete(f"/v1/webhooks/{webhook}").status_code == 204
    assert server.stop() == 0


def test_what_ops_may_register_and_see(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    try:
        with server.client() as client, WebhookReceiver(then=lambda h: answer(h, 410)) as receiver:
            for url in ("https://169.254.169.254/", "http://example.org/", "https://10.0.0.1/", "nonsense"):
                refused = client.post("/v1/webhooks", json={"url": url, "events": ["operation.ended"]})
                assert (refused.status_code, refused.json()["type"]) == (
                    422,
                    "/problems/webhook-address-refused",
                ), url
            for body in ({"url": receiver.url(), "events": []}, {"url": receiver.url(), "events": ["ping"]}):
                assert client.post("/v1/webhooks", json=body).status_code == 422
            webhook = client.post(
                "/v1/webhooks", json={"url": receiver.url(), "events": ["batch.ended"]}
            ).json()["webhook_id"]
            assert "secret" not in client.get("/v1/webhooks").text
            pinged = client.post(f"/v1/webhooks/{webhook}/ping")
            assert (pinged.status_code, pinged.json()["event"]) == (202, "ping")

            def dead() -> list[dict[str, object]]:
                path = f"/v1/webhooks/{webhook}/deliveries"
                listed: list[dict[str, object]] = client.get(path, params={"state": "dead"}).json()[
                    "deliveries"
                ]
                return listed

            assert eventually(lambda: len(dead()) == 1)
            assert (dead()[0]["status"], dead()[0]["fault"]) == (410, "refused")
            retry = f"/v1/webhooks/{webhook}/deliveries/{dead()[0]['delivery_id']}/retry"
            assert client.post(retry).status_code == 204
            assert eventually(lambda: len(receiver.requests) == 2)
            assert client.get("/v1/webhooks/wh_none/deliveries").status_code == 404
        token = server.command("keys", "create", "app", "--scope", "enroll").stdout.strip()
        with server.client(token) as app:
            answer_ = app.get("/v1/webhooks")
            assert answer_.status_code == 403
        assert httpx.get(f"{server.url}/v1/webhooks").status_code == 401
    finally:
        server.stop()
