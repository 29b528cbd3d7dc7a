"""Whether what a policy claims is what was measured: counts of comparisons and people, and the bound that
they support.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from scipy.stats import beta

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.measured import Measured
from recon_service.comparison.policy import Claim, Policy
from recon_service.comparison.score_map import APPEARANCE


@dataclass(frozen=True, slots=True)
class Bound:
    """What the people of one measurement say of the false match rate at a policy's threshold.

    of: the kinds compared. fmr: upper bound at the claim's confidence, pairs of people as trials.
    false_matches: pairs of people. non_mated: comparisons.
    """

    of: str
    fmr: float
    false_matches: float
    pairs: int
    people: int
    non_mated: int


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """A policy under a calibration. bounds: one of every measurement that the claim rests on, the weakest
    first. refusal, help: why the policy may not decide, and what would let it; empty if it may.
    """

    policy: Policy
    calibration: str
    bounds: tuple[Bound, ...] = ()
    refusal: str = ""
    help: str = ""

    @property
    def supported(self) -> bool:
        return not self.refusal


def checked(policy: Policy, calibration: Calibration) -> ClaimCheck:
    """Whether the calibration supports what the policy claims.

    A policy that requires appearance decides by the sum alone: the claim rests on the pairs for which shape
    and appearance were measured together. One that only may use it decides either way, so that both have to
    support it.
    """
    claim = policy.claim
    if claim is None:
        return ClaimCheck(policy, calibration.identity)
    found = _measurements(policy, calibration)
    bounds = tuple(sorted((_bound(of, one, policy, claim) for of, one in found), key=lambda b: -b.fmr))
    if not bounds:
        both = APPEARANCE in policy.requires
        what = "of shape and appearance together" if both else f"of the calibration {calibration.identity}"
        return ClaimCheck(
            policy,
            calibration.identity,
            refusal=f"{policy.name} claims a false match rate of {claim.fmr:g}; nothing was measured {what}",
            help=f"Calibrate with {people_needed(claim)} people or more"
            + (" before a camera with pictures, and the network for appearance at hand." if both else "."),
        )
    worst = bounds[0]
    if worst.fmr <= claim.fmr:
        return ClaimCheck(policy, calibration.identity, bounds)
    return ClaimCheck(
        policy,
        calibration.identity,
        bounds,
        refusal=f"{policy.name} claims a false match rate of {claim.fmr:g}; {worst.of} bounds it by "
        f"{worst.fmr:.2g} only ({worst.people} people, {worst.non_mated} non-mated comparisons, "
        f"{100 * claim.confidence:g} % confidence, {calibration.identity})",
        help=f"Calibrate with {people_needed(claim)} people or more, or choose a policy that claims less.",
    )


def _measurements(policy: Policy, calibration: Calibration) -> Iterator[tuple[str, Measured]]:
    if APPEARANCE not in policy.requires:
        for key, pair in calibration.pairs.items():
            if pair.measured is not None:
                yield f"{key[0]} against {key[1]}", pair.measured
    if APPEARANCE in policy.allowed:
        yield from ((str(one), one.measured) for one in calibration.fused)


def _bound(of: str, measured: Measured, policy: Policy, claim: Claim) -> Bound:
    place = bisect_right(measured.thresholds, policy.match_above) - 1
    false = measured.false_matches[place] if place >= 0 else float(measured.pairs)
    return Bound(
        of,
        upper_bound(measured, policy.match_above, claim.confidence),
        false,
        measured.pairs,
        measured.people,
        measured.impostor,
    )


def upper_bound(measured: Measured, threshold: float, confidence: float) -> float:
    """Clopper-Pearson bound of the false match rate at a threshold, with pairs of people as the trials.

    Many comparisons of two people are one look at these two. The rate is that of the nearest threshold below
    that was kept; of a pair of which a tenth of the comparisons match, a tenth counts as a false match. Pairs
    share people, so that even this is a little too sure.
    """
    place = bisect_right(measured.thresholds, threshold) - 1
    if place < 0:
        return 1.0
    false = measured.false_matches[place]
    if false >= measured.pairs:
        return 1.0
    return float(beta.ppf(confidence, false + 1, measured.pairs - false))


def people_needed(claim: Claim) -> int:
    """How many people without any false match between them would support it: the rule of three, on pairs."""
    pairs = math.log(1 - claim.confidence) / math.log(1 - claim.fmr)
    return math.ceil((1 + math.sqrt(1 + 8 * pairs)) / 2)
