"""Identifiers: what those that callers choose may look like, and those that the service makes."""

from __future__ import annotations

import re
import secrets
from typing import Final

from recon_service.domain.errors import InvalidValue

_SUBJECT_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]{1,200}")


def check_subject_id(subject_id: str) -> None:
    """Raises InvalidValue unless it is 1 to 64 of the unreserved characters of a URL, and not '.' or '..',
    which mean another address to every client and proxy.
    """
    if not _SUBJECT_ID.fullmatch(subject_id) or subject_id in (".", ".."):
        raise InvalidValue(
            "a subject id is 1 to 64 characters of A-Z, a-z, 0-9, '.', '_', '~' and '-', and not '.' or '..'",
            next_step="Use a pseudonym of your own, never a name or an address.",
        )


def check_consent_id(consent_id: str) -> None:
    """Raises InvalidValue unless it is 1 to 200 printable characters without spaces."""
    if not _PRINTABLE.fullmatch(consent_id):
        raise InvalidValue(
            "consent_id must be 1 to 200 printable characters without spaces",
            next_step="Send the id under which the consent is recorded.",
        )


def check_idempotency_key(key: str) -> None:
    """Raises InvalidValue unless it is 1 to 200 printable characters without spaces."""
    if not _PRINTABLE.fullmatch(key):
        raise InvalidValue("an Idempotency-Key must be 1 to 200 printable characters without spaces")


def new_id(kind: str) -> str:
    """A random identifier that says what it names: ``op_…``, ``tpl_…``; 128 bits, so that it cannot be
    guessed.
    """
    return f"{kind}_{secrets.token_hex(16)}"
