"""Encryption, and templates as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from recon_service.application.records.subjects import WrappedKey

if TYPE_CHECKING:  # the API process never loads what these modules need
    from recon_service.domain.template import Template


class SubjectCipher(Protocol):
    """Encryption with one subject's data key. place: table or kind of object, row: its id; both are
    authenticated.
    """

    def seal(self, content: bytes, *, place: str, row: str) -> bytes: ...

    def open(self, sealed: bytes, *, place: str, row: str) -> bytes:
        """Raises StorageFault when the bytes are not those that were sealed for this subject, place and
        row.
        """
        ...


class Signer(Protocol):
    """Signs in the name of this service (Ed25519)."""

    @property
    def public(self) -> str:
        """``ed25519:`` and the public key in base64: what others name to trust this service."""
        ...

    def sign(self, statement: bytes) -> bytes: ...


class Vault(Protocol):
    """The master key's work."""

    @property
    def master_key_id(self) -> str:
        """Of the key that wraps what is made now."""
        ...

    @property
    def accepted_master_key_ids(self) -> frozenset[str]:
        """Of all the keys that open what they wrapped."""
        ...

    def rewrapped(self, key: WrappedKey) -> WrappedKey:
        """The same data key, wrapped by the current master key. Raises StorageFault."""
        ...

    def new_key(self, subject_id: str) -> WrappedKey: ...

    def cipher(self, key: WrappedKey) -> SubjectCipher:
        """Raises StorageFault when the key does not unwrap for this subject."""
        ...

    def cipher_of_secret(self, secret: bytes, subject_id: str) -> SubjectCipher:
        """With a key made from a secret of 256 bits that somebody else keeps."""
        ...

    def signer(self, key: WrappedKey) -> Signer:
        """Raises StorageFault when the key does not unwrap."""
        ...

    def derived(self, key: WrappedKey, purpose: str) -> bytes:
        """32 secret bytes for that purpose alone. Raises StorageFault."""
        ...

    def digest(self, purpose: str, *parts: bytes) -> str:
        """Keyed hash, hex; equal parts give equal digests for one purpose only."""
        ...


class TemplateFormat(Protocol):
    """Templates as bytes and back."""

    def write(self, template: Template) -> bytes: ...

    def read(self, content: bytes) -> Template:
        """Raises StorageFault for bytes that are not a template."""
        ...
