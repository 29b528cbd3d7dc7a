"""Signatures by Ed25519 (RFC 8032), with public keys written as ``ed25519:`` and base64."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PREFIX = "ed25519:"


class Ed25519Signer:
    """See ``ports.vault.Signer``. seed: 32 random bytes, which are the private key."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> str:
        """What others name to trust these signatures."""
        return PREFIX + base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, statement: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(statement)


def is_public_key(text: str) -> bool:
    """Whether somebody may be trusted by it."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix(PREFIX), validate=True))
    except (ValueError, binascii.Error):
        return False
    return text.startswith(PREFIX)


def is_signed_by(public: str, signature: bytes, statement: bytes) -> bool:
    """Whether the holder of that key signed the statement. False also for what is no key."""
    try:
        raw = base64.b64decode(public.removeprefix(PREFIX), validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, statement)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return public.startswith(PREFIX)
