"""The service's side of bundles and reports."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from recon_service.application.ports.vault import Signer
from recon_service.application.records.edge import (
    BundleContents,
    BundleHead,
    EdgeReport,
    Revocations,
    SealedReport,
)
from recon_service.domain.errors import InvalidValue
from recon_service.edge import statements
from recon_service.edge.bundle import write_bundle
from recon_service.edge.sealing import public_of, recipient
from recon_service.formats.signing import is_public_key


class HpkeEdgeFormat:
    """See ``ports.edge.EdgeFormat``."""

    def check_keys(self, recipient_key: str, signing: str) -> None:
        """Raises InvalidValue."""
        recipient(recipient_key)
        if not is_public_key(signing):
            raise InvalidValue(
                "that is no public key for signatures",
                next_step="It begins with ed25519:, see recon edge keys.",
            )

    def public(self, secret: bytes) -> str:
        """By 32 secret bytes."""
        return public_of(X25519PrivateKey.from_private_bytes(secret))

    def bundle(self, head: BundleHead, contents: BundleContents, *, signer: Signer) -> bytes:
        """See ``bundle.py``."""
        return write_bundle(head, contents, signer=signer)

    def revocations(self, revocations: Revocations, *, signer: Signer) -> dict[str, Any]:
        """Signed."""
        return statements.write_revocations(revocations, signer=signer)

    def is_from(self, report: SealedReport, signing: str) -> bool:
        """By its signature."""
        return statements.is_from(report, signing)

    def digest(self, report: SealedReport) -> str:
        """What the next report names."""
        return statements.digest_of(report)

    def open_report(self, report: SealedReport, *, secret: bytes) -> EdgeReport:
        """Raises InvalidValue."""
        return statements.open_report(report, key=X25519PrivateKey.from_private_bytes(secret))
