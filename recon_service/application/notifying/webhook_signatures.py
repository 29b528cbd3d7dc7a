"""Signatures of webhooks, after the Standard Webhooks specification: three headers, HMAC-SHA-256 over id,
timestamp and body.

A receiver checks the signature, refuses timestamps that are more than five minutes off, and remembers the
ids that it has seen for as long: then a recorded request cannot be played back, and one that comes twice
(which happens: delivery is at least once) is noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from recon_service.domain.errors import CallerError

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
TOLERANCE: Final = timedelta(minutes=5)
ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"


class WebhookNotGenuine(CallerError):
    """A request that does not carry a valid, recent signature."""

    code = "webhook-not-genuine"
    title = "The webhook's signature is not valid"


def new_secret() -> str:
    """``whsec_`` and 32 random bytes as base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed(secret: str, event_id: str, body: bytes, *, at: datetime) -> dict[str, str]:
    """The headers of a delivery that is sent at this moment."""
    seconds = str(int(at.timestamp()))
    return {ID: event_id, TIMESTAMP: seconds, SIGNATURE: "v1," + _signature(secret, event_id, seconds, body)}


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> str:
    """For receivers: the event's id, to be remembered for twice the tolerance. headers: with lower-case
    names. Raises WebhookNotGenuine.
    """
    event_id, seconds = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not event_id or not seconds.isascii() or not seconds.isdigit() or len(seconds) > 12:
        raise WebhookNotGenuine("a header of the signature is missing")
    if abs(now.timestamp() - int(seconds)) > TOLERANCE.total_seconds():
        raise WebhookNotGenuine("the timestamp is too far off", next_step="Compare the clocks.")
    ours = _signature(secret, event_id, seconds, body)
    offered = [word.removeprefix("v1,") for word in headers.get(SIGNATURE, "").split(" ")]
    if not any(hmac.compare_digest(ours.encode(), word.encode()) for word in offered):
        raise WebhookNotGenuine("the signature does not belong to this body", next_step="Check the secret.")
    return event_id


def _signature(secret: str, event_id: str, seconds: str, body: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as fault:
        raise WebhookNotGenuine("the secret is not one of a webhook") from fault
    content = f"{event_id}.{seconds}.".encode() + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
