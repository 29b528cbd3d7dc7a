"""From a score to a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import ComparisonScore, Decision, VerificationResult


@dataclass(frozen=True, slots=True)
class Policy:
    """match_above, no_match_below: log-likelihood ratios (natural logarithm); between them the decision is
    INCONCLUSIVE.

    The thresholds of a policy are no claim about error rates: such a claim needs a calibration that was
    measured.
    """

    name: str
    match_above: float
    no_match_below: float

    def __post_init__(self) -> None:
        if not self.no_match_below <= self.match_above:
            raise InvalidValue("a policy must not match below the score where it refuses")


PROVISIONAL = Policy(name="provisional-1", match_above=4.6, no_match_below=0.0)
"""A match needs odds of 100 to 1 at even prior odds; provisional until thresholds rest on a measured
calibration.
"""


def decide(
    score: ComparisonScore | None, *, policy: Policy, faults: Sequence[tuple[str, str]] = ()
) -> VerificationResult:
    """The decision for a score; without a score it is INCONCLUSIVE, with the reasons why no comparison was
    possible.
    """
    reasons = tuple(faults)
    if score is None:
        return VerificationResult(Decision.INCONCLUSIVE, None, reasons, policy.name)
    if score.llr >= policy.match_above:
        decision = Decision.MATCH
    elif score.llr < policy.no_match_below:
        decision = Decision.NO_MATCH
        reasons += (("score-below-threshold", "The capture does not look like the person enrolled."),)
    else:
        decision = Decision.INCONCLUSIVE
        reasons += (("score-not-clear", "Look at the camera and try again; more depth frames help."),)
    return VerificationResult(decision, score, reasons, policy.name)
