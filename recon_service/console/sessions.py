"""Who is signed in to the console.

The cookie names an API key, a moment and nothing secret, under a keyed digest; what the key may do is asked
of the database at every request, so a revoked key is out at once. Forms carry a digest of the cookie, which
no other site can know.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from recon_service.application.keeping.keys import authenticate
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import ApiKey, Scope
from recon_service.domain.errors import Forbidden, Unauthenticated

COOKIE: Final = "recon_console"
LIFETIME: Final = timedelta(hours=8)
PURPOSE: Final = "console"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody with a key for operations. form_token: what the forms of this session carry."""

    key: ApiKey
    form_token: str


def sign_in(token: str, *, on: Stores, allow_development: bool) -> str:
    """The cookie's value for an API key. Raises Unauthenticated, Forbidden."""
    key = authenticate(token.strip(), on=on, allow_development=allow_development)
    _check_scope(key)
    until = on.clock() + LIFETIME
    said = f"{key.key_id}.{int(until.timestamp())}.{secrets.token_hex(8)}"
    return f"{said}.{_digest(said, on)}"


def signed_in(cookie: str, *, on: Stores, allow_development: bool) -> SignedIn:
    """Whose cookie it is. Raises Unauthenticated, Forbidden."""
    said, _, digest = cookie.rpartition(".")
    key_id, _, rest = said.partition(".")
    moment = rest.partition(".")[0]
    if not hmac.compare_digest(digest.encode(), _digest(said, on).encode()) or not moment.isdigit():
        raise _signed_out()
    if datetime.fromtimestamp(int(moment), UTC) < on.clock():
        raise _signed_out()
    with on.database.snapshot() as tx:
        key = tx.api_keys.get(key_id)
    if key is None or key.revoked_at is not None or (key.development and not allow_development):
        raise _signed_out()
    _check_scope(key)
    return SignedIn(key, on.vault.digest(PURPOSE, b"form", cookie.encode()))


def check_form(session: SignedIn, token: str) -> None:
    """Raises Forbidden for a form that this session was not given."""
    if not hmac.compare_digest(session.form_token.encode(), token.encode()):
        raise Forbidden("the form is outdated", next_step="Load the page again, and try once more.")


def _digest(said: str, on: Stores) -> str:
    return on.vault.digest(PURPOSE, b"cookie", said.encode())


def _check_scope(key: ApiKey) -> None:
    if Scope.OPS not in key.scopes:
        raise Forbidden("the console is for operations", next_step="Use a key made with --scope ops.")


def _signed_out() -> Unauthenticated:
    return Unauthenticated("nobody is signed in", next_step="Sign in with an API key for operations.")
