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
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recon_service.application.records.subjects import WrappedKey
from recon_service.domain.errors import StorageFault
from recon_service.formats.signing import Ed25519Signer

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"
DIGEST_PURPOSES = (
    "idempotency",
    "subject",
    "receipt",
    "log",
    "audit",
    "operation",
    "kiosk-nonce",
    "kiosk-client",
    "kiosk-key",
    "capture",
    "console",
    "search-turn",
    "revocation",
    "withdrawal",
    "audit-end",
)


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
    """See ``ports.Vault``. accepted: master keys that still open, or will soon wrap, what other processes
    share; nothing new is wrapped by them. digest_root: secret of the digests, which must outlive a master
    key; without it they come from the master key.
    """

    def __init__(
        self, master: MasterKey, *, accepted: Sequence[MasterKey] = (), digest_root: bytes | None = None
    ) -> None:
        self._masters = {key.key_id: AESGCM(key.key) for key in (*accepted, master)}
        self._digest_root = digest_root or master.key
        self._digest_keys = {p: _derive(self._digest_root, f"digest:{p}") for p in DIGEST_PURPOSES}
        self.master_key_id = master.key_id
        self._known = (master, tuple(accepted))

    @property
    def accepted_master_key_ids(self) -> frozenset[str]:
        """Of every master key that opens something."""
        return frozenset(self._masters)

    def with_digest_root(self, key: WrappedKey) -> SubjectVault:
        """The same vault, its digests made from a wrapped secret. Raises StorageFault."""
        master, accepted = self._known
        return SubjectVault(master, accepted=accepted, digest_root=self._unwrapped(key))

    def new_key(self, subject_id: str) -> WrappedKey:
        """A random data key, wrapped."""
        return self._wrapped(os.urandom(KEY_BYTES), f"key_{secrets.token_hex(16)}", subject_id)

    def rewrapped(self, key: WrappedKey) -> WrappedKey:
        """The same data key, wrapped by the current master key. Raises StorageFault."""
        return self._wrapped(self._unwrapped(key), key.key_id, key.subject_id)

    def cipher(self, key: WrappedKey) -> AesSubjectCipher:
        """Unwrap. Raises StorageFault: altered, moved from another subject, or wrapped by another master
        key.
        """
        return AesSubjectCipher(self._unwrapped(key), key.subject_id)

    def cipher_of_secret(self, secret: bytes, subject_id: str) -> AesSubjectCipher:
        """With a key made from a secret of 256 bits that somebody else keeps."""
        return AesSubjectCipher(_derive(secret, "kept-elsewhere"), subject_id)

    def signer(self, key: WrappedKey) -> Ed25519Signer:
        """Its private key comes from the data key. Raises StorageFault."""
        return Ed25519Signer(_derive(self._unwrapped(key), "signing"))

    def derived(self, key: WrappedKey, purpose: str) -> bytes:
        """32 secret bytes that come from the data key. Raises StorageFault."""
        return _derive(self._unwrapped(key), purpose)

    def digest(self, purpose: str, *parts: bytes) -> str:
        """HMAC-SHA-256 over the parts, each with its length in front."""
        return hmac.new(self._digest_keys[purpose], _joined(*parts), hashlib.sha256).hexdigest()

    def _wrapped(self, data_key: bytes, key_id: str, subject_id: str) -> WrappedKey:
        wrapped = _seal(self._masters[self.master_key_id], data_key, _key_context(key_id, subject_id))
        return WrappedKey(key_id, subject_id, self.master_key_id, wrapped)

    def _unwrapped(self, key: WrappedKey) -> bytes:
        if key.master_key_id not in self._masters:
            raise StorageFault(
                "a stored key was wrapped by another master key",
                next_step="Start the service with the master key that this database was made with, or name "
                "it in RECON_ACCEPTED_MASTER_KEYS_FILE.",
            )
        master = self._masters[key.master_key_id]
        return _open(master, key.wrapped, _key_context(key.key_id, key.subject_id))


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
