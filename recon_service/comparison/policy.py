"""From a score to a decision, by a named policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recon_service.comparison.score_map import SHAPE
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import ComparisonScore, Decision, VerificationResult

ENOUGH_FRAMES = 3
"""One depth frame more helps a visit with fewer (docs/accuracy.md, depth1 and depth3)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a policy promises of its matches: a false match rate of at most ``fmr`` for every pair of kinds
    that the calibration was measured on, with this confidence.
    """

    fmr: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not (0 < self.fmr < 1 and 0.5 <= self.confidence < 1):
            raise InvalidValue("a claim needs a rate and a confidence between 0 and 1")


@dataclass(frozen=True, slots=True)
class Policy:
    """match_above, no_match_below: log-likelihood ratios (natural logarithm); between them the decision is
    INCONCLUSIVE.

    name: with its version. evidence: names of the kinds that a decision needs ("shape", "appearance").
    least_frames: usable depth frames that a match needs. claim: checked when the policy is activated
    (``policies.py``); None: no error rate is claimed. match_on_general: whether captures of an origin that
    the calibration does not know may match; the claim does not cover them.
    """

    name: str
    match_above: float
    no_match_below: float
    evidence: tuple[str, ...] = (SHAPE,)
    least_frames: int = 1
    claim: Claim | None = None
    match_on_general: bool = True

    def __post_init__(self) -> None:
        if not self.no_match_below <= self.match_above:
            raise InvalidValue("a policy must not match below the score where it refuses")
        if not self.evidence or self.least_frames < 1:
            raise InvalidValue("a policy needs a kind of evidence and a depth frame")


def decide(
    score: ComparisonScore | None,
    *,
    policy: Policy,
    faults: Sequence[tuple[str, str]] = (),
    frames: int | None = None,
) -> VerificationResult:
    """The decision for a score; without a score it is INCONCLUSIVE, with the reasons why no comparison was
    possible. frames: how many depth frames were usable, if that is known.
    """
    reasons = list(faults)
    if score is None:
        return VerificationResult(Decision.INCONCLUSIVE, None, tuple(reasons), policy.name)
    if score.general:
        reasons.append(
            ("general-calibration", "This camera was not measured: a careful estimate was used for it.")
        )
    if score.llr < policy.no_match_below:
        reasons.append(("score-below-threshold", "The capture does not look like the person enrolled."))
        return VerificationResult(Decision.NO_MATCH, score, tuple(reasons), policy.name)
    lacking = _lacking(score, policy, frames)
    if score.llr >= policy.match_above and not lacking:
        return VerificationResult(Decision.MATCH, score, tuple(reasons), policy.name)
    if not score.llr >= policy.match_above:
        more = frames is not None and frames < max(ENOUGH_FRAMES, policy.least_frames)
        help_ = "more depth frames help." if more else "come closer and turn your face to it."
        lacking.insert(0, ("score-not-clear", f"Look at the camera and try again; {help_}"))
    return VerificationResult(Decision.INCONCLUSIVE, score, (*reasons, *lacking), policy.name)


def _lacking(score: ComparisonScore, policy: Policy, frames: int | None) -> list[tuple[str, str]]:
    """What the policy asks for and the comparison did not have."""
    found: list[tuple[str, str]] = []
    if frames is not None and frames < policy.least_frames:
        found.append(
            ("more-frames-needed", f"{policy.least_frames} usable depth frames are needed, not {frames}.")
        )
    given = {name for name, _ in score.parts} or {SHAPE}
    found += [
        ("evidence-missing", f"A comparison of {wanted} is needed, and was not possible.")
        for wanted in policy.evidence
        if wanted not in given
    ]
    if score.general and not policy.match_on_general:
        found.append(("origin-not-measured", "Use a camera that the calibration was measured on."))
    return found
