"""A claim rests on the evidence that the policy decides by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recon_service.comparison.calibration import Calibration, FusedMeasured
from recon_service.comparison.claims import checked
from recon_service.comparison.measured import Measured
from recon_service.comparison.policies import PolicyUnsupported, activated
from recon_service.comparison.policy import Claim, Policy, decide
from recon_service.domain.appearance import Light
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import ComparisonScore, Decision
from tests.people import KIND, plain_calibration

BOTH = ("shape", "appearance")


def measured(false: float, people: int = 20) -> Measured:
    pairs = people * (people - 1) // 2
    return Measured("d", people, pairs, 9, 190, 0.1, 0.2, 0.1, (0.0, 3.0), (pairs / 2, false), (0.0, 0.1))


def calibration(*, shape: float, fused: float | None) -> Calibration:
    pair = replace(plain_calibration().pairs[KIND, KIND], measured=measured(shape))
    infrared = frozenset({Light.INFRARED})
    sums = [] if fused is None else [FusedMeasured((KIND, KIND), "net", "v", infrared, measured(fused))]
    return Calibration("c", "test/1", {(KIND, KIND): pair}, fused=tuple(sums))


def policy(requires: tuple[str, ...], may_use: tuple[str, ...] = ()) -> Policy:
    return Policy(
        "p", match_above=3.2, no_match_below=0.0, requires=requires, may_use=may_use, claim=Claim(0.05)
    )


@pytest.mark.parametrize(
    ("shape", "fused", "requires", "may_use", "supported"),
    [
        (0.0, None, ("shape",), (), True),
        (0.0, 50.0, ("shape",), (), True),
        (0.0, 50.0, ("shape",), ("appearance",), False),
        (50.0, 0.0, ("shape",), ("appearance",), False),
        (50.0, 0.0, BOTH, (), True),
        (0.0, 50.0, BOTH, (), False),
        (0.0, None, BOTH, (), False),
    ],
)
def test_the_evidence_that_decides_has_to_support_the_claim(
    shape: float, fused: float | None, requires: tuple[str, ...], may_use: tuple[str, ...], supported: bool
) -> None:
    asked, known = policy(requires, may_use), calibration(shape=shape, fused=fused)
    found = checked(asked, known)
    assert found.supported == supported
    assert [bound.fmr for bound in found.bounds] == sorted((b.fmr for b in found.bounds), reverse=True)
    if supported:
        assert activated("p", known, {"p": asked}) is asked
        assert found.bounds[0].non_mated == 190
    else:
        with pytest.raises(PolicyUnsupported) as refused:
            activated("p", known, {"p": asked})
        assert refused.value.next_step == found.help != ""


def score(shape: float, appearance: float | None, missing: str = "") -> ComparisonScore:
    parts = (("shape", shape), *([("appearance", appearance)] if appearance is not None else []))
    total = sum(llr for _, llr in parts)
    lacking = (("appearance", missing),) if missing else ()
    return ComparisonScore(total, "a", "b", "c", parts=parts, missing=lacking)


def test_evidence_that_a_policy_does_not_name_does_not_count() -> None:
    assert decide(score(2.0, 5.0), policy=policy(("shape",))).decision is Decision.INCONCLUSIVE
    assert decide(score(5.0, -9.0), policy=policy(("shape",))).decision is Decision.MATCH
    assert decide(score(2.0, 5.0), policy=policy(("shape",), ("appearance",))).decision is Decision.MATCH


@pytest.mark.parametrize(
    ("missing", "code", "hint"),
    [
        ("probe", "evidence-missing", "look into the camera"),
        ("reference", "evidence-missing", "enroll again"),
        ("network", "evidence-missing", "enroll again"),
        ("assumed", "evidence-not-measured", "another kiosk"),
    ],
)
def test_without_required_evidence_there_is_no_match_and_the_reason_says_what_helps(
    missing: str, code: str, hint: str
) -> None:
    given = score(9.0, -0.1 if missing == "assumed" else None, missing)
    said = decide(given, policy=policy(BOTH))
    assert said.decision is Decision.INCONCLUSIVE
    ((found, text),) = said.reasons
    assert found == code
    assert hint in text
    assert decide(given, policy=policy(("shape",), ("appearance",))).decision is Decision.MATCH


def test_a_policy_always_needs_the_shape() -> None:
    with pytest.raises(InvalidValue):
        policy(("appearance",))
