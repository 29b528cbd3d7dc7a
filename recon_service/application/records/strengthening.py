"""What a visit offers to the template that it was compared with."""

from __future__ import annotations

from dataclasses import dataclass, field

from recon_service.domain.posterior import IdentityPosterior


@dataclass(frozen=True, slots=True)
class Proposal:
    """A visit that would strengthen the template, or the reasons by code why it must not.

    posterior: of its depth frames; None where there are reasons. most_visits: that the policy keeps. For the
    others see ``domain.template.DepthVisit``.
    """

    source: str
    captures: int
    calibration: str
    policy: str
    score: float
    confirmed: bool
    most_visits: int
    reasons: tuple[str, ...] = ()
    gain: float = 0.0
    posterior: IdentityPosterior | None = field(default=None, repr=False)
