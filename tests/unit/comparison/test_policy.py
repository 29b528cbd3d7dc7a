from __future__ import annotations

from dataclasses import replace

import pytest

from recon_service.comparison.policy import Policy, decide
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import ComparisonScore, Decision, VerificationResult

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


def score(llr: float, *, general: bool = False, parts: tuple[tuple[str, float], ...] = ()) -> ComparisonScore:
    return ComparisonScore(llr, "a", "b", "c", general, parts)


def codes(result: VerificationResult) -> list[str]:
    return [code for code, _ in result.reasons]


def test_a_match_needs_the_frames_and_the_evidence_that_the_policy_asks_for() -> None:
    policy = replace(POLICY, least_frames=3, requires=("shape", "appearance"))
    both = (("shape", 3.0), ("appearance", 6.0))
    assert decide(score(9.0, parts=both), policy=policy, frames=3).decision is Decision.MATCH
    few = decide(score(9.0, parts=both), policy=policy, frames=2)
    assert (few.decision, codes(few)) == (Decision.INCONCLUSIVE, ["more-frames-needed"])
    shape_alone = decide(score(9.0, parts=both[:1]), policy=policy, frames=3)
    assert (shape_alone.decision, codes(shape_alone)) == (Decision.INCONCLUSIVE, ["evidence-missing"])
    # Whoever does not look like the person is refused with little evidence, too.
    assert decide(score(-9.0, parts=both[:1]), policy=policy, frames=1).decision is Decision.NO_MATCH


def test_a_general_calibration_is_said_and_may_be_too_little() -> None:
    said = decide(score(9.0, general=True), policy=POLICY)
    assert (said.decision, codes(said)) == (Decision.MATCH, ["general-calibration"])
    refused = decide(score(9.0, general=True), policy=replace(POLICY, match_on_general=False))
    assert refused.decision is Decision.INCONCLUSIVE
    assert codes(refused) == ["general-calibration", "origin-not-measured"]


def test_what_would_help_depends_on_what_there_was() -> None:
    hints = [decide(score(1.0), policy=POLICY, frames=frames).reasons[0][1] for frames in (1, 5)]
    assert "more depth frames" in hints[0]
    assert "come closer" in hints[1]


@pytest.mark.parametrize("wrong", [{"least_frames": 0}, {"requires": ()}, {"may_use": ("x",)}])
def test_a_policy_asks_for_something(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        replace(POLICY, **wrong)
