from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import binom

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.calibration_file import load_calibration
from recon_service.comparison.claims import people_needed, upper_bound
from recon_service.comparison.measured import Measured
from recon_service.comparison.policies import (
    DEFAULT_POLICY,
    PolicyUnsupported,
    activated,
    load_policies,
)
from recon_service.comparison.policy import Claim, Policy
from recon_service.domain.errors import InvalidValue
from tests.people import KIND, plain_calibration


def measured(people: int, false: float = 0.0) -> Measured:
    pairs = people * (people - 1) // 2
    return Measured("d", people, pairs, 9, 90, 0.1, 0.2, 0.1, (0.0, 3.0), (pairs / 2, false), (0.0, 0.1))


def calibration(people: int, false: float = 0.0) -> Calibration:
    pair = plain_calibration().pairs[KIND, KIND]
    return Calibration("c", "test/1", {(KIND, KIND): replace(pair, measured=measured(people, false))})


POLICY = Policy("p", match_above=3.2, no_match_below=0.0, claim=Claim(0.06))


def test_the_released_calibration_supports_the_default_policy_and_not_the_one_for_payments() -> None:
    released = load_calibration()
    assert activated(DEFAULT_POLICY, released).name == DEFAULT_POLICY
    with pytest.raises(PolicyUnsupported, match=r"0\.001") as refused:
        activated("payment-1", released)
    assert "78 people" in str(refused.value)


def test_a_claim_needs_people() -> None:
    assert activated("p", calibration(11), {"p": POLICY}) is POLICY
    for too_weak in (calibration(10), calibration(11, false=1.0)):
        with pytest.raises(PolicyUnsupported, match=r"claims a false match rate of 0\.06"):
            activated("p", too_weak, {"p": POLICY})
    with pytest.raises(PolicyUnsupported, match="nothing was measured"):
        activated("p", plain_calibration(), {"p": POLICY})


def test_a_policy_that_claims_nothing_needs_nothing() -> None:
    silent = replace(POLICY, claim=None)
    assert activated("p", plain_calibration(), {"p": silent}) is silent
    with pytest.raises(InvalidValue, match="Choose one of p"):
        activated("q", plain_calibration(), {"p": silent})


@pytest.mark.parametrize("false", [0, 1, 7])
def test_the_bound_is_where_so_few_false_matches_have_five_percent(false: int) -> None:
    bound = upper_bound(measured(20, false), 3.0, 0.95)
    assert binom.cdf(false, 190, bound) == pytest.approx(0.05, abs=1e-6)


def test_the_bound_between_two_thresholds_is_that_of_the_lower() -> None:
    one = measured(20)
    assert upper_bound(one, 2.9, 0.95) == upper_bound(one, 0.0, 0.95)
    assert upper_bound(one, -1.0, 0.95) == 1.0


@pytest.mark.parametrize("fmr", [0.06, 0.01, 1e-3])
def test_so_many_people_are_enough_and_one_less_is_not(fmr: float) -> None:
    needed = people_needed(Claim(fmr))
    assert upper_bound(measured(needed), 3.0, 0.95) <= fmr < upper_bound(measured(needed - 1), 3.0, 0.95)


@pytest.mark.parametrize(
    "text", ["", "[[policy]]\nname = 'x'", "policy = 3", "[[policy]]\nname='x'\nmatch_above='a'"]
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(InvalidValue, match=r"p\.toml"):
        load_policies(tmp_path / "p.toml")


def test_claims_are_shares() -> None:
    for wrong in ({"fmr": 0.0}, {"fmr": 1.0}, {"fmr": 0.1, "confidence": 1.0}):
        with pytest.raises(InvalidValue):
            Claim(**wrong)
