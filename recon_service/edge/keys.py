"""The two keys of a kiosk: one that its bundles are sealed for, one that it signs its reports with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from recon_service.domain.errors import Conflict, InvalidValue
from recon_service.edge.sealing import public_of
from recon_service.formats.signing import Ed25519Signer

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class KioskKeys:
    """Both are made on the kiosk and never leave it; the service learns the public halves."""

    opening: X25519PrivateKey = field(repr=False)
    signer: Ed25519Signer = field(repr=False)

    @property
    def recipient(self) -> str:
        """For the service: bundles are sealed for this key."""
        return public_of(self.opening)

    @property
    def signing(self) -> str:
        """For the service: reports are signed by this key."""
        return self.signer.public

    @classmethod
    def from_secret(cls, secret: bytes) -> KioskKeys:
        """Raises InvalidValue unless it is 64 bytes."""
        if len(secret) != 2 * _SECRET_BYTES:
            raise InvalidValue(f"the keys of a kiosk are {2 * _SECRET_BYTES} bytes")
        opening = X25519PrivateKey.from_private_bytes(secret[:_SECRET_BYTES])
        return cls(opening, Ed25519Signer(secret[_SECRET_BYTES:]))

    @classmethod
    def generate(cls, path: Path) -> KioskKeys:
        """New ones, in a file that only its owner reads. Raises Conflict where there is one."""
        secret = os.urandom(2 * _SECRET_BYTES)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise Conflict(f"{path.name} is there already", next_step="Move it away first.") from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
        return cls.from_secret(secret)

    @classmethod
    def load(cls, path: Path) -> KioskKeys:
        """Raises InvalidValue for a file that holds no keys."""
        try:
            return cls.from_secret(path.read_bytes())
        except OSError:
            raise InvalidValue(f"{path} cannot be read", next_step="Make keys: recon edge keys.") from None
