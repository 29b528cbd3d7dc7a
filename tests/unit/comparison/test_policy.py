from __future__ import annotations

import pytest

from recon_service.comparison.policy import PROVISIONAL, Policy, decide
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import ComparisonScore, Decision

POLICY = Policy("p", match_above=4.0, no_match_below=-1.0)


@pytest.mark.parametrize(
    ("llr", "decision", "reason"),
    [
        (100.0, Decision.MATCH, None),
        (4.0, Decision.MATCH, None),
        (3.999, Decision.INCONCLUSIVE, "score-not-clear"),
        (-1.0, Decision.INCONCLUSIVE, "score-not-clear"),
        (-1.001, Decision.NO_MATCH, "score-below-threshold"),
        (float("nan"), Decision.INCONCLUSIVE, "score-not-clear"),
    ],
)
def test_bands(llr: float, decision: Decision, reason: str | None) -> None:
    score = ComparisonScore(llr, "a", "b", "table")
    result = decide(score, policy=POLICY)
    assert result.decision is decision
    assert [code for code, _ in result.reasons] == ([reason] if reason else [])
    assert result.score is score
    assert result.policy == "p"


def test_without_a_score_nothing_is_decided_and_the_faults_are_the_reasons() -> None:
    faults = (("too-little-depth", "Stand closer."), ("no-face-in-depth", "Stand upright."))
    result = decide(None, policy=POLICY, faults=faults)
    assert (result.decision, result.score, result.reasons) == (Decision.INCONCLUSIVE, None, faults)


def test_faults_of_some_frames_do_not_turn_a_match() -> None:
    result = decide(ComparisonScore(9.0, "a", "b", "t"), policy=POLICY, faults=[("x", "hint")])
    assert result.decision is Decision.MATCH
    assert result.reasons == (("x", "hint"),)


def test_bands_may_not_overlap() -> None:
    with pytest.raises(InvalidValue):
        Policy("p", match_above=0.0, no_match_below=1.0)


def test_the_provisional_policy_asks_for_odds_of_a_hundred() -> None:
    assert PROVISIONAL.match_above == pytest.approx(4.605, abs=0.01)
