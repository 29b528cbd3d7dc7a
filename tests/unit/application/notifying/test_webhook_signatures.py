from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from recon_service.application.notifying.webhook_signatures import (
    SIGNATURE,
    TIMESTAMP,
    WebhookNotGenuine,
    new_secret,
    signed,
    verify_webhook,
)


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
