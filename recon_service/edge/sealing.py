"""Sealing for one recipient by HPKE (RFC 9180: X25519, HKDF-SHA-256, AES-256-GCM) and signatures by Ed25519.

Keys are written ``x25519:`` and ``ed25519:`` with the raw public key in base64.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recon_service.domain.errors import InvalidValue

X25519 = "x25519:"
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class Unopened(Exception):
    """The bytes do not authenticate for this key and context."""


def public_of(key: X25519PrivateKey) -> str:
    """As others name it."""
    return X25519 + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def recipient(public: str) -> X25519PublicKey:
    """Raises InvalidValue for what is no key."""
    try:
        if not public.startswith(X25519):
            raise ValueError
        raw = base64.b64decode(public.removeprefix(X25519), validate=True)
        return X25519PublicKey.from_public_bytes(raw)
    except (ValueError, binascii.Error):
        raise InvalidValue(
            "that is no public key for sealing", next_step="It begins with x25519:, see recon edge keys."
        ) from None


def sealed_for(public: str, content: bytes, *, context: bytes) -> bytes:
    """Only the holder of the private key opens it, and only with the same context. Raises InvalidValue."""
    return bytes(_SUITE.encrypt(content, recipient(public), info=context))


def unsealed(key: X25519PrivateKey, sealed: bytes, *, context: bytes) -> bytes:
    """Raises Unopened."""
    try:
        return bytes(_SUITE.decrypt(sealed, key, info=context))
    except (InvalidTag, ValueError):
        raise Unopened from None


def own_cipher(key: X25519PrivateKey, purpose: str) -> AESGCM:
    """For what the holder of the key keeps for itself."""
    info = b"recon-edge:" + purpose.encode()
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key.private_bytes_raw()))
