"""Envelope encryption: AES-256-GCM with a random data key per subject, itself wrapped by the master key.

A sealed value is ``version (1 byte) | nonce (12) | ciphertext and tag``. The associated data names
place, row and subject, so that a ciphertext that was copied to another row, table or subject does not
open. Destroying the wrapped key destroys everything sealed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recon_service.application.records import WrappedKey
from recon_service.domain.errors import StorageFault

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The key that wraps all others. key_id tells which master key wrapped what; it does not give the key
    away.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")

    @property
    def key_id(self) -> str:
        """First 64 bits of a hash that has no other use."""
        return _derive(self.key, "master-key-id")[:8].hex()


class SubjectVault:
    """See ``ports.Vault``."""

    def __init__(self, master: MasterKey) -> None:
        self._master = AESGCM(master.key)
        self._digest_keys = {
            p: _derive(master.key, f"digest:{p}") for p in ("idempotency", "subject", "receipt", "log")
        }
        self.master_key_id = master.key_id

    def new_key(self, subject_id: str) -> WrappedKey:
        """A random data key, wrapped."""
        key_id = f"key_{secrets.token_hex(16)}"
        wrapped = _seal(self._master, os.urandom(KEY_BYTES), _key_context(key_id, subject_id))
        return WrappedKey(key_id, subject_id, self.master_key_id, wrapped)

    def cipher(self, key: WrappedKey) -> AesSubjectCipher:
        """Unwrap. Raises StorageFault: altered, moved from another subject, or wrapped by another master
        key.
        """
        if key.master_key_id != self.master_key_id:
            raise StorageFault(
                "a subject's key was wrapped by another master key",
                next_step="Start the service with the master key that this database was made with.",
            )
        return AesSubjectCipher(
            _open(self._master, key.wrapped, _key_context(key.key_id, key.subject_id)), key.subject_id
        )

    def digest(self, purpose: str, *parts: bytes) -> str:
        """HMAC-SHA-256 over the parts, each with its length in front."""
        return hmac.new(self._digest_keys[purpose], _joined(*parts), hashlib.sha256).hexdigest()


class AesSubjectCipher:
    """See ``ports.SubjectCipher``."""

    def __init__(self, data_key: bytes, subject_id: str) -> None:
        self._cipher = AESGCM(data_key)
        self._subject_id = subject_id

    def seal(self, content: bytes, *, place: str, row: str) -> bytes:
        """Encrypt for one row."""
        return _seal(self._cipher, content, self._context(place, row))

    def open(self, sealed: bytes, *, place: str, row: str) -> bytes:
        """Decrypt. Raises StorageFault when it does not authenticate."""
        return _open(self._cipher, sealed, self._context(place, row))

    def _context(self, place: str, row: str) -> bytes:
        return _joined(b"recon:row", place.encode(), row.encode(), self._subject_id.encode())


def _seal(cipher: AESGCM, content: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + cipher.encrypt(nonce, content, VERSION + context)


def _open(cipher: AESGCM, sealed: bytes, context: bytes) -> bytes:
    version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        if version != VERSION or len(ciphertext) < 16:
            raise InvalidTag
        return cipher.decrypt(nonce, ciphertext, VERSION + context)
    except InvalidTag:
        raise StorageFault(
            "what was stored does not authenticate: it was altered or moved",
            next_step="Restore it from a backup, or enroll again.",
        ) from None


def _key_context(key_id: str, subject_id: str) -> bytes:
    return _joined(b"recon:key", key_id.encode(), subject_id.encode())


def _joined(*parts: bytes) -> bytes:
    return b"".join(len(p).to_bytes(8, "big") + p for p in parts)


def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(
        algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"recon-service:" + purpose.encode()
    ).derive(key)
