"""API keys, their scopes, and failed attempts counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What an API key may do."""

    ENROLL = "enroll"
    VERIFY = "verify"
    OPS = "ops"
    CONFIRM = "confirm"
    """Beside ``verify``: may say that card and PIN have confirmed who stands before the kiosk."""
    IDENTIFY = "identify"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret, of which only the SHA-256 is kept. development: made by the service
    itself at its first start; honored on the loopback interface only.
    """

    key_id: str
    name: str
    scopes: frozenset[Scope]
    secret_sha256: bytes = field(repr=False)
    development: bool
    created_at: datetime
    revoked_at: datetime | None = None


class FailureKind(StrEnum):
    """Whose failures are counted: verifications of an API key and of a subject, and an API key's searches
    among all. In the order in which the counters are locked.
    """

    API_KEY = "api-key"
    SUBJECT = "subject"
    IDENTIFICATION = "identification"


@dataclass(frozen=True, slots=True)
class FailureCounter:
    """Verifications without a match, or searches that named nobody, since a moment. name: an API key's id,
    or the keyed digest of a subject's.
    """

    kind: FailureKind
    name: str
    failures: int
    since: datetime
    locked_until: datetime | None = None
