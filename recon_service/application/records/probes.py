"""Recent probes: what verifications saw of a person, kept for a while by consent, so that another version of
the template can be tried on it before it is in force.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from recon_service.domain.errors import InvalidValue

if TYPE_CHECKING:  # the API process never loads what these modules need
    from recon_service.domain.appearance import Appearance
    from recon_service.domain.posterior import IdentityPosterior
    from recon_service.domain.template import Decision

PROBE_PLACE: Final = "recent_probes"


@dataclass(frozen=True, slots=True)
class ProbeSeen:
    """What a comparison needs of a visit. posterior: of its usable depth frames. camera: as the calibration
    names it. captures: frames that it rests on. appearance: on their pictures, where a network saw them.
    """

    posterior: IdentityPosterior = field(repr=False)
    camera: str
    captures: int
    appearance: Appearance | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.captures < 1 or not self.camera:
            raise InvalidValue("a probe has one depth frame of a camera at least")


@dataclass(frozen=True, slots=True)
class RecentProbe:
    """One verification that was compared. calibration, policy, decision, llr: of that moment, name and digest
    where there is one; llr: natural log-likelihood ratio.
    """

    probe_id: str
    seen_at: datetime
    seen: ProbeSeen
    calibration: str
    policy: str
    decision: Decision
    llr: float


@dataclass(frozen=True, slots=True)
class SealedProbe:
    """A probe as it is kept: encrypted with the subject's key for the place ``recent_probes`` and the row
    ``probe_id``.
    """

    probe_id: str
    subject_id: str
    seen_at: datetime
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """most: probes kept of one subject, 0: none ever. lifetime: then they are destroyed. refusals: also of
    claims that did not match, of which nobody knows whose they are.
    """

    most: int = 0
    lifetime: timedelta = timedelta(days=30)
    refusals: bool = False
