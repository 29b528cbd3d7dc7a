"""Policies by name, and the proof that a policy's claim is supported before it may decide anything."""

from __future__ import annotations

import math
import tomllib
from bisect import bisect_right
from pathlib import Path

from scipy.stats import beta

from recon_service.comparison.calibration import Calibration, Measured
from recon_service.comparison.policy import Claim, Policy
from recon_service.domain.errors import CallerError, InvalidValue

POLICIES = Path(__file__).with_name("policies.toml")
DEFAULT_POLICY = "pilot-1"


class PolicyUnsupported(CallerError):
    """A policy claims more than the calibration was measured to give."""

    code = "policy-unsupported"
    title = "The policy's claim is not supported"


def load_policies(path: Path = POLICIES) -> dict[str, Policy]:
    """By name. Raises InvalidValue with what is wrong in the file."""
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8"))["policy"]
        policies = [
            Policy(
                name=str(entry["name"]),
                match_above=float(entry["match_above"]),
                no_match_below=float(entry["no_match_below"]),
                evidence=tuple(entry["evidence"]),
                least_frames=int(entry["least_frames"]),
                claim=Claim(**entry["claim"]) if "claim" in entry else None,
                match_on_general=bool(entry["match_on_general"]),
            )
            for entry in listed
        ]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as fault:
        raise InvalidValue(f"the policies in {path.name} cannot be read: {fault}") from fault
    found = {policy.name: policy for policy in policies}
    if len(found) != len(policies):
        raise InvalidValue(f"two policies in {path.name} have the same name")
    return found


def activated(name: str, calibration: Calibration, policies: dict[str, Policy] | None = None) -> Policy:
    """The policy of that name, if the calibration supports what it claims.

    Raises InvalidValue for an unknown name, PolicyUnsupported with the pair of kinds that speaks against it
    and the number of people that would be needed.
    """
    known = load_policies() if policies is None else policies
    if name not in known:
        raise InvalidValue(
            f"there is no policy {name!r}", next_step=f"Choose one of {', '.join(sorted(known))}."
        )
    policy = known[name]
    if policy.claim is None:
        return policy
    measured = {key: pair.measured for key, pair in calibration.pairs.items() if pair.measured is not None}
    if not measured:
        raise PolicyUnsupported(f"nothing was measured of the calibration {calibration.identity}")
    bounds = {
        key: upper_bound(one, policy.match_above, policy.claim.confidence) for key, one in measured.items()
    }
    worst = max(bounds, key=lambda key: bounds[key])
    if bounds[worst] > policy.claim.fmr:
        claim = policy.claim
        raise PolicyUnsupported(
            f"{policy.name} claims a false match rate of {claim.fmr:g}; {worst[0]} against {worst[1]} bounds "
            f"it by {bounds[worst]:.2g} only ({measured[worst].people} people, {100 * claim.confidence:g} % "
            f"confidence, {calibration.identity})",
            next_step=f"Calibrate with {people_needed(claim)} people or more, or choose a policy that claims "
            "less.",
        )
    return policy


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
