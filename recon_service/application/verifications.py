"""Verify a subject: load the reference, look at the kiosk's visit, compare, decide. Nothing of the visit is
kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from recon_service.application.enrollments import MAX_SELFIES
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.stores import Stores
from recon_service.application.records import SelfieReport
from recon_service.application.reference_versions import verified_by
from recon_service.application.subjects import load_template
from recon_service.application.visits import KioskVisit, VerificationOutcome
from recon_service.domain.errors import InvalidValue


def verify_subject(
    subject_id: str, visit: KioskVisit, *, on: Stores, compute: Compute
) -> VerificationOutcome:
    """Is the person before the kiosk the subject? Raises NotFound, DepthRejected, ImageRejected,
    TimeLimitReached.
    """
    reference = load_template(subject_id, None, on=on)
    return verified_by(reference, visit, on=on, compute=compute)[1]


def check_quality(selfies: Sequence[bytes], *, compute: Compute) -> tuple[SelfieReport, ...]:
    """What the gate of the enrollment would say about these selfies; nothing is stored."""
    if not 1 <= len(selfies) <= MAX_SELFIES or not all(selfies):
        raise InvalidValue(
            f"a quality check takes 1 to {MAX_SELFIES} selfies that are not empty",
            next_step="Send each picture as a part named 'selfies'.",
        )
    return compute.check_quality(selfies)
