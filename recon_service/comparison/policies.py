"""Policies by name, and the proof that a policy's claim is supported before it may decide anything."""

from __future__ import annotations

import tomllib
from pathlib import Path

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.claims import checked
from recon_service.comparison.policy import Claim, Policy
from recon_service.comparison.score_map import APPEARANCE, SHAPE
from recon_service.comparison.strengthening import Strengthening
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
                requires=_kinds(entry["requires"]),
                may_use=_kinds(entry["may_use"]),
                least_frames=int(entry["least_frames"]),
                claim=Claim(**entry["claim"]) if "claim" in entry else None,
                match_on_general=bool(entry["match_on_general"]),
                strengthening=Strengthening(**entry["strengthening"]) if "strengthening" in entry else None,
            )
            for entry in listed
        ]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as fault:
        raise InvalidValue(f"the policies in {path.name} cannot be read: {fault}") from fault
    found = {policy.name: policy for policy in policies}
    if len(found) != len(policies):
        raise InvalidValue(f"two policies in {path.name} have the same name")
    return found


def _kinds(named: object) -> tuple[str, ...]:
    if not isinstance(named, list) or any(one not in (SHAPE, APPEARANCE) for one in named):
        raise ValueError(f"{named!r} is no list of {SHAPE!r} and {APPEARANCE!r}")
    return tuple(named)


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
    found = checked(known[name], calibration)
    if not found.supported:
        raise PolicyUnsupported(found.refusal, next_step=found.help)
    return found.policy
