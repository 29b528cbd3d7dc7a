"""What is kept of an enrollment, and what a comparison says. ISO/IEC 2382-37: reference, probe, comparison
score.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recon_service.domain.appearance import Appearance
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.presentation import PresentationResult


@dataclass(frozen=True, slots=True)
class Provenance:
    """One capture that a template rests on: what observed it and when; nothing of the capture itself."""

    source: str
    backend: str
    captured_at: datetime


@dataclass(frozen=True, slots=True)
class Template:
    """The biometric reference of one subject.

    template_id: unique. source: what observed it and where it came from ("selfies-photometric/visible",
    "depth/kinect2"). model: name of the morphable model it was fitted with. calibration: name and digest of
    the one in force. quality: 0-100 of the weakest selfie. appearance: of the selfies, where a network for
    it was at hand.
    """

    template_id: str
    subject_id: str
    posterior: IdentityPosterior
    source: str
    model: str
    calibration: str
    provenance: tuple[Provenance, ...]
    quality: float
    created_at: datetime
    appearance: Appearance | None = None


class Decision(StrEnum):
    """Outcome of a verification. PRESENTATION_ATTACK: not a living face but a picture of one was shown, and
    nothing was compared.
    """

    MATCH = "MATCH"
    NO_MATCH = "NO_MATCH"
    INCONCLUSIVE = "INCONCLUSIVE"
    PRESENTATION_ATTACK = "PRESENTATION_ATTACK"


@dataclass(frozen=True, slots=True)
class ComparisonScore:
    """Log-likelihood ratio (natural logarithm): one person against two. calibration: name and digest of the
    one it was computed with. general: whether that does not know the captures' origins, so that a careful
    general estimate was taken. parts: name and ratio of each kind of evidence that the sum is made of.
    """

    llr: float
    reference_source: str
    probe_source: str
    calibration: str
    general: bool = False
    parts: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """decision with its reasons (stable codes with a hint for the person), score None when no comparison
    was possible. presentation: what the check for artefacts measured, where it ran. frames_used: depth
    frames that the decision rests on: without those that were not usable or not needed.
    """

    decision: Decision
    score: ComparisonScore | None
    reasons: tuple[tuple[str, str], ...]
    policy: str
    presentation: PresentationResult | None = None
    frames_used: int = 0
