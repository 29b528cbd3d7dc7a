"""API keys: ``recon_<id>_<secret>``. The secret is 256 random bits, so a plain SHA-256 of it is safe to
store.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from recon_service.application.keeping.audit import SERVICE, record
from recon_service.application.keeping.revocations import note_revocation
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import ApiKey, Scope
from recon_service.domain.errors import InvalidValue, NotFound, Unauthenticated

PREFIX = "recon"
_TOKEN = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([0-9a-f]{{64}})")
DEVELOPMENT_NAME = "development"


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was just made; ``token`` is shown once and cannot be had again."""

    key: ApiKey
    token: str = field(repr=False)


def create_api_key(
    name: str, scopes: Iterable[Scope], *, on: Stores, development: bool = False, actor: str = SERVICE
) -> NewApiKey:
    """Make and store a key. Raises InvalidValue for an empty name or no scope."""
    granted = frozenset(scopes)
    if not name.strip() or len(name) > 100 or not granted:
        raise InvalidValue("an API key needs a name of up to 100 characters and at least one scope")
    key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
    key = ApiKey(key_id, name.strip(), granted, _sha256(secret), development, on.clock())
    with on.database.transaction() as tx:
        tx.api_keys.add(key)
        scopes_by_name = sorted(s.value for s in granted)
        record(tx, on=on, action="api-key.made", actor=actor, object_id=key_id, outcome=scopes_by_name)
    return NewApiKey(key, f"{PREFIX}_{key_id}_{secret}")


def authenticate(token: str, *, on: Stores, allow_development: bool) -> ApiKey:
    """The key that ``token`` belongs to. Raises Unauthenticated; the answer does not tell which part was
    wrong.
    """
    given = _TOKEN.fullmatch(token)
    if given is None:
        raise _refused()
    key_id, secret = given.groups()
    with on.database.snapshot() as tx:
        key = tx.api_keys.get(key_id)
    matches = hmac.compare_digest(_sha256(secret), key.secret_sha256 if key else bytes(32))
    if (
        key is None
        or not matches
        or key.revoked_at is not None
        or (key.development and not allow_development)
    ):
        raise _refused()
    return key


def list_api_keys(*, on: Stores) -> list[ApiKey]:
    """All keys, oldest first, the revoked ones too."""
    with on.database.snapshot() as tx:
        return tx.api_keys.all()


def revoke_api_key(key_id: str, *, on: Stores, actor: str = SERVICE) -> None:
    """From now on the key opens nothing, also after a restore. Raises NotFound."""
    with on.database.transaction() as tx:
        if not tx.api_keys.revoke(key_id, now=on.clock()):
            raise NotFound(
                f"there is no active API key {key_id!r}", next_step="List them with: recon keys list"
            )
        record(tx, on=on, action="api-key.revoked", actor=actor, object_id=key_id)
    note_revocation(key_id, on=on)


def ensure_development_key(*, on: Stores) -> NewApiKey | None:
    """At the very first start: a key with every scope. None when any key was ever made."""
    if list_api_keys(on=on):
        return None
    return create_api_key(DEVELOPMENT_NAME, Scope, on=on, development=True)


def has_real_key(*, on: Stores) -> bool:
    """Whether somebody made an active key on purpose."""
    return any(not k.development and k.revoked_at is None for k in list_api_keys(on=on))


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _refused() -> Unauthenticated:
    return Unauthenticated(
        "the API key is missing or not valid",
        next_step="Send 'Authorization: Bearer <key>'; make one with: recon keys create NAME --scope enroll",
    )
