"""Edge mode: what is kept of sites, kiosks and bundles, and bundles and reports as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Protocol

from recon_service.application.ports.vault import Signer
from recon_service.application.records.edge import (
    BundleContents,
    BundleHead,
    EdgeKioskRecord,
    EdgeReport,
    Revocations,
    SealedReport,
)
from recon_service.application.records.references import SealedReference


class EdgeSites(Protocol):
    """Kiosks, members and bundles of sites."""

    def add_kiosk(self, kiosk: EdgeKioskRecord) -> None: ...

    def kiosk(self, kiosk_id: str, *, lock: bool = False) -> EdgeKioskRecord | None: ...

    def update_kiosk(self, kiosk: EdgeKioskRecord) -> None:
        """Serial, reports and revocation."""
        ...

    def add_member(self, site: str, subject_id: str, *, now: datetime) -> None:
        """Also where it is one already."""
        ...

    def member_since(self, site: str, subject_id: str) -> datetime | None:
        """None: it is none."""
        ...

    def remove_member(self, site: str, subject_id: str) -> bool:
        """False: it was none."""
        ...

    def references(self, site: str) -> Iterator[SealedReference]:
        """The active templates of the site's members."""
        ...

    def add_bundle(self, head: BundleHead, template_ids: list[str]) -> None: ...

    def revoked(self, site: str, *, now: datetime) -> frozenset[str]:
        """Templates in bundles that have not expired which are not active any more, or whose subject is not
        a member any more.
        """
        ...

    def forget_bundles(self, *, expired_before: datetime) -> int: ...

    def add_evidence(self, report: EdgeReport, sealed: bytes) -> None: ...


class EdgeFormat(Protocol):
    """Bundles, revocations and reports as bytes."""

    def check_keys(self, recipient: str, signing: str) -> None:
        """Raises InvalidValue for what is no key."""
        ...

    def public(self, secret: bytes) -> str:
        """What reports are sealed for, by 32 secret bytes."""
        ...

    def bundle(self, head: BundleHead, contents: BundleContents, *, signer: Signer) -> bytes: ...

    def revocations(self, revocations: Revocations, *, signer: Signer) -> dict[str, Any]: ...

    def is_from(self, report: SealedReport, signing: str) -> bool: ...

    def digest(self, report: SealedReport) -> str:
        """What the next report names."""
        ...

    def open_report(self, report: SealedReport, *, secret: bytes) -> EdgeReport:
        """Raises InvalidValue."""
        ...
