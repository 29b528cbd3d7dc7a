"""Two ways on the same people: what is better by more than chance is found, what is the same is not."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from recon_service.application.computing.evaluation_people import NEVER
from recon_service.application.records.evaluations import (
    EvaluationOutcome,
    PersonObserved,
    SetFacts,
    SideObserved,
    Way,
)
from recon_service.application.records.probes import ProbeSeen
from recon_service.comparison.appearance import AppearanceMaps
from recon_service.comparison.policy import Claim, Policy
from recon_service.domain.errors import InvalidValue
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Provenance, Template
from recon_service.evaluation.versions import Judge, evaluated
from tests.people import KIND, plain_calibration

MODES, PEOPLE = 6, 24
CALIBRATION = plain_calibration(MODES)
POLICY = Policy("policy", match_above=3.0, no_match_below=0.0, claim=Claim(0.06))
JUDGE = Judge(CALIBRATION, AppearanceMaps.none(), POLICY)
FACTS = SetFacts("made", "0" * 64, PEOPLE, "depth1-depth1", (), "c" * 64)
FORMER, CANDIDATE = Way("model-1", "test", "facemesh"), Way("model-2", "test", "facemesh")


def posterior(mean: np.ndarray) -> IdentityPosterior:
    return IdentityPosterior(CALIBRATION.space, mean, 0.2 * np.eye(MODES))


def template(mean: np.ndarray) -> Template:
    seen = (Provenance(KIND.source, "facemesh468", NEVER),)
    return Template("", "", posterior(mean), KIND.source, "model", "test", seen, 80.0, NEVER)


def side(way: Way, noise: float, *, people: int = PEOPLE, failures: int = 0, code: str = "c") -> SideObserved:
    """People of whom templates are off by so much, whatever the way; visits are the same."""
    rng = np.random.default_rng(5)
    found = []
    for n in range(people):
        truth, off, *visits = rng.normal(size=(4, MODES))
        reference = None if n < failures else template(truth + noise * off)
        probes = tuple(ProbeSeen(posterior(truth + 0.4 * v), "generic", 1) for v in visits)
        found.append(PersonObserved((reference,), probes))
    return SideObserved(way, code * 64, tuple(found))


def outcome(former: SideObserved, candidate: SideObserved) -> EvaluationOutcome:
    return evaluated(FACTS, former, candidate, (JUDGE, JUDGE))


def test_a_way_that_is_much_better_is_found() -> None:
    found = outcome(side(FORMER, 1.2), side(CANDIDATE, 0.2))
    assert (found.genuine, found.impostor) == (2 * PEOPLE, 2 * PEOPLE * (PEOPLE - 1))
    difference = {one.rate: one for one in found.differences}
    assert set(difference) == {"eer", "fnmr_at_fmr", "fnmr", "fmr", "cllr"}
    for rate in ("eer", "fnmr_at_fmr", "fnmr", "cllr"):
        one = difference[rate]
        assert one.low <= one.value <= one.high < 0, rate
        assert one.more_than_chance
        sides = [getattr(one_side, rate) for one_side in (found.former, found.candidate)]
        assert sides[1].value - sides[0].value == pytest.approx(one.value)
        assert all(figure.low <= figure.value <= figure.high for figure in sides)
    assert not found.same
    assert EvaluationOutcome.of(json.loads(json.dumps(asdict(found)))) == found


def test_the_same_is_no_difference() -> None:
    found = outcome(side(FORMER, 0.5), side(FORMER, 0.5))
    assert found.same
    assert {(one.value, one.more_than_chance) for one in found.differences} == {(0.0, False)}
    assert not outcome(side(FORMER, 0.5), side(FORMER, 0.5, code="d")).same


def test_a_small_change_among_few_people_is_chance() -> None:
    found = outcome(side(FORMER, 0.5), side(CANDIDATE, 0.51))
    assert not any(one.more_than_chance for one in found.differences if one.rate != "cllr")


def test_only_what_both_ways_have_is_compared() -> None:
    found = outcome(side(FORMER, 0.5), side(CANDIDATE, 0.5, failures=4))
    assert found.genuine == 2 * (PEOPLE - 4)
    assert (found.former.failed_enrollments, found.candidate.failed_enrollments) == (0, 4)
    assert all(one.value == 0.0 for one in found.differences)
    with pytest.raises(InvalidValue, match="by both ways"):
        outcome(side(FORMER, 0.5), side(CANDIDATE, 0.5, failures=PEOPLE))


def test_a_rate_that_so_few_cannot_show_is_refused() -> None:
    strict = Judge(CALIBRATION, AppearanceMaps.none(), Policy("strict", 3.0, 0.0, claim=Claim(0.001)))
    found = evaluated(FACTS, side(FORMER, 0.5), side(CANDIDATE, 0.5), (strict, strict))
    assert found.former.fnmr_at_fmr.value is None
    assert "impostor comparisons" in found.former.fnmr_at_fmr.refused
    assert "fnmr_at_fmr" not in {one.rate for one in found.differences}
