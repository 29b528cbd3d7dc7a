"""What is kept of an enrollment, and what a comparison says. ISO/IEC 2382-37: reference, probe, comparison
score.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recon_service.domain.appearance import Appearance
from recon_service.domain.errors import InvalidValue
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.presentation import PresentationResult


@dataclass(frozen=True, slots=True)
class Provenance:
    """One capture that a template rests on: what observed it and when; nothing of the capture itself."""

    source: str
    backend: str
    captured_at: datetime


@dataclass(frozen=True, slots=True)
class DepthVisit:
    """What one visit to a kiosk added to a template: a capture with its provenance, kept apart from all
    others so that it can be taken out exactly.

    posterior: of the visit's depth frames alone. source: ``depth/CAMERA``. captures: frames that it rests
    on. calibration: in force then, name and digest. policy: that let it in. score: natural log-likelihood
    ratio of the verification. confirmed: by card and PIN, not by its score. gain: what it added to the
    depth evidence there was, nats of differential entropy. kiosk: keyed digest of the API key's id.
    """

    visit_id: str
    posterior: IdentityPosterior
    source: str
    captures: int
    calibration: str
    captured_at: datetime
    policy: str
    score: float
    confirmed: bool
    gain: float
    kiosk: str

    def __post_init__(self) -> None:
        if self.captures < 1 or not self.source.startswith("depth/"):
            raise InvalidValue("a visit has one depth frame of a camera at least")


@dataclass(frozen=True, slots=True)
class Template:
    """The biometric reference of one subject.

    template_id: unique. source: what observed it and where it came from ("selfies-photometric/visible",
    "depth/kinect2"). model: name of the morphable model it was fitted with. calibration: name and digest of
    the one in force. quality: 0-100 of the weakest selfie. appearance: of the selfies, where a network for
    it was at hand. visits: depth evidence that verifications added, oldest first; the posterior is of the
    enrollment alone.
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
    visits: tuple[DepthVisit, ...] = ()

    def __post_init__(self) -> None:
        for visit in self.visits:
            self.posterior.require_same_space(visit.posterior)


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
    missing: kinds of evidence that cannot count as such, each with the side or cause ("reference", "probe",
    "network", or "assumed" for one that is only guessed).
    """

    llr: float
    reference_source: str
    probe_source: str
    calibration: str
    general: bool = False
    parts: tuple[tuple[str, float], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


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
