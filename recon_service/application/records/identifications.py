"""What an identification hands around and says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from recon_service.domain.appearance import Appearance
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.presentation import PresentationResult
from recon_service.domain.template import ComparisonScore

MAX_CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class ObservedVisit:
    """What a kiosk's visit says of the person before it, compared with nobody.

    posterior: None where no frame was usable, for the reasons in ``faults`` (code and hint). source: the
    camera. milliseconds: per stage.
    """

    posterior: IdentityPosterior | None
    source: str
    frames_used: int
    faults: tuple[tuple[str, str], ...]
    presentation: PresentationResult
    appearance: Appearance | None
    calibration: str
    milliseconds: dict[str, float]


class IdentificationDecision(StrEnum):
    """CANDIDATES: somebody may be the person; NO_CANDIDATE: nobody is like them enough; INCONCLUSIVE: the
    capture could not be searched with; PRESENTATION_ATTACK: not a living face, nobody was searched.
    """

    CANDIDATES = "CANDIDATES"
    NO_CANDIDATE = "NO_CANDIDATE"
    INCONCLUSIVE = "INCONCLUSIVE"
    PRESENTATION_ATTACK = "PRESENTATION_ATTACK"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who may be the person. meets_policy: the score reaches the threshold for so many references
    and what was measured bears the policy's claim; else it is a lead that a person must check. template_id:
    of the template in force. former: a version of before was compared in its place.
    """

    subject_id: str
    template_id: str
    score: ComparisonScore
    meets_policy: bool
    former: bool = False


@dataclass(frozen=True, slots=True)
class Identification:
    """candidates: best first. searched: references that were compared; not_comparable: those that could not
    be, or not be opened. threshold: natural log-likelihood ratio for that many. supported: whether the
    claim is borne out.
    """

    decision: IdentificationDecision
    candidates: tuple[Candidate, ...]
    searched: int
    not_comparable: int
    threshold: float
    policy: str
    supported: bool
    reasons: tuple[tuple[str, str], ...]
    visit: ObservedVisit
    search_ms: float = 0.0
