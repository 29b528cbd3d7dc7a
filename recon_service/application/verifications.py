"""Verify a subject: load the reference, look at the kiosk's visit, compare, decide. Nothing of the visit is
kept.
"""

from __future__ import annotations

from recon_service.application.ports.compute import Compute
from recon_service.application.ports.stores import Stores
from recon_service.application.reference_versions import verified_by
from recon_service.application.subjects import load_template
from recon_service.application.visits import KioskVisit, VerificationOutcome


def verify_subject(
    subject_id: str, visit: KioskVisit, *, on: Stores, compute: Compute
) -> VerificationOutcome:
    """Is the person before the kiosk the subject? Raises NotFound, DepthRejected, ImageRejected,
    TimeLimitReached.
    """
    reference = load_template(subject_id, None, on=on)
    return verified_by(reference, visit, on=on, compute=compute)[1]
