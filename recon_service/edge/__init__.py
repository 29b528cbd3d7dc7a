"""Verification without the service: bundles of a site's templates for its kiosks, and the reports of what
they decided. Needs numpy and cryptography, and nothing of the server.

    service: write_bundle -> kiosk: open_bundle -> verify_offline -> journal -> service: open_report
"""

from __future__ import annotations

from recon_service.edge.bundle import OpenBundle, open_bundle, write_bundle
from recon_service.edge.errors import (
    BundleAltered,
    BundleExpired,
    BundleNotForThisKiosk,
    BundleRolledBack,
    ClockSetBack,
    EdgeRefused,
    EdgeStateLost,
    SubjectNotInBundle,
    SubjectRefused,
    SubjectRevoked,
)
from recon_service.edge.keys import KioskKeys
from recon_service.edge.kiosk import EdgeKiosk, EdgeTransport, OfflineDecision

__all__ = [
    "BundleAltered",
    "BundleExpired",
    "BundleNotForThisKiosk",
    "BundleRolledBack",
    "ClockSetBack",
    "EdgeKiosk",
    "EdgeRefused",
    "EdgeStateLost",
    "EdgeTransport",
    "KioskKeys",
    "OfflineDecision",
    "OpenBundle",
    "SubjectNotInBundle",
    "SubjectRefused",
    "SubjectRevoked",
    "open_bundle",
    "write_bundle",
]
