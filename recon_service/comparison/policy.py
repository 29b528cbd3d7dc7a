"""From a score to a decision, by a named policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recon_service.comparison.score_map import APPEARANCE, SHAPE
from recon_service.comparison.strengthening import Strengthening
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import ComparisonScore, Decision, VerificationResult

ENOUGH_FRAMES = 3
"""One depth frame more helps a visit with fewer (docs/accuracy.md, depth1 and depth3)."""


HELP = {
    (APPEARANCE, "probe"): (
        "evidence-missing",
        "A picture of your face is needed too: uncover it and look into the camera.",
    ),
    (APPEARANCE, "reference"): (
        "evidence-missing",
        "Your enrollment has no picture to compare with: enroll again.",
    ),
    (APPEARANCE, "network"): (
        "evidence-missing",
        "The picture of your enrollment cannot be compared with this camera's: enroll again.",
    ),
    (APPEARANCE, "assumed"): (
        "evidence-not-measured",
        "How well this camera's pictures agree with selfies was not measured: use another kiosk.",
    ),
}
"""What would help, by the kind of evidence and why it cannot count (``ComparisonScore.missing``)."""


def _unknown(wanted: str) -> tuple[str, str]:
    return "evidence-missing", f"A comparison of {wanted} is needed, and was not possible."


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

    name: with its version. requires: kinds of evidence that a match needs ("shape", "appearance"). may_use:
    kinds that count where they are there; what is in neither is left out of the score. least_frames: usable
    depth frames that a match needs. claim: checked when the policy is activated (``policies.py``); None: no
    error rate is claimed. match_on_general: whether captures of an origin that the calibration does not
    know may match; the claim does not cover them. strengthening: what a visit must show to be added to the
    template; None: templates stay as they were enrolled.
    """

    name: str
    match_above: float
    no_match_below: float
    requires: tuple[str, ...] = (SHAPE,)
    may_use: tuple[str, ...] = (APPEARANCE,)
    least_frames: int = 1
    claim: Claim | None = None
    match_on_general: bool = True
    strengthening: Strengthening | None = None

    def __post_init__(self) -> None:
        if not self.no_match_below <= self.match_above:
            raise InvalidValue("a policy must not match below the score where it refuses")
        if self.strengthening is not None and self.strengthening.strong_above < self.match_above:
            raise InvalidValue("a policy must not strengthen below the score where it matches")
        if SHAPE not in self.requires or self.least_frames < 1:
            raise InvalidValue("a policy needs the shape, and a depth frame")
        if not set(self.allowed) <= {SHAPE, APPEARANCE}:
            raise InvalidValue(f"a policy knows {SHAPE} and {APPEARANCE}, not {', '.join(self.allowed)}")

    @property
    def allowed(self) -> tuple[str, ...]:
        """The kinds of evidence that count."""
        return tuple(dict.fromkeys((*self.requires, *self.may_use)))

    def considered(self, score: ComparisonScore) -> ComparisonScore:
        """The score by the kinds of evidence that count here."""
        parts = tuple(part for part in score.parts if part[0] in self.allowed)
        if parts == score.parts:
            return score
        return replace(score, llr=sum(llr for _, llr in parts), parts=parts)


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
    score = policy.considered(score)
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
    missing = dict(score.missing)
    found += [
        HELP.get((wanted, missing.get(wanted, "")), _unknown(wanted))
        for wanted in policy.requires
        if wanted not in given or wanted in missing
    ]
    if score.general and not policy.match_on_general:
        found.append(("origin-not-measured", "Use a camera that the calibration was measured on."))
    return found
