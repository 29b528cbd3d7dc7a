"""What a batch would change, as a page and on a terminal: every state of an evaluation is told."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from recon_service.api.schemas_comparison import ComparisonBody
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.records.batches import Material
from recon_service.application.records.evaluations import (
    BatchEvaluation,
    Difference,
    EvaluationOutcome,
    EvaluationSet,
    EvaluationState,
    Figure,
    SideFigures,
    Way,
)
from recon_service.application.reenrolling.batch_comparison import (
    BatchComparison,
    ProbesChange,
    ScoreChange,
    Spread,
    Turned,
)
from recon_service.cli.batch_comparison import show_comparison
from recon_service.console.comparison import RATES
from recon_service.console.rendering import page
from recon_service.console.sessions import SignedIn
from recon_service.domain.template import Decision

SPREAD = Spread(0.1, 0.2, 0.3)
SCORES = ScoreChange(42, 6.0, 7.0, 1.5, 2.5, 0.25)
FORMER = Way("model-1", "table-1", "facemesh")
CANDIDATE = Way("model-2", "table-1", "facemesh", Material.EVIDENCE, FORMER)
NOW = utc_now()


def figures(way: Way) -> SideFigures:
    rate = Figure(0.0625, 0.05, 0.075)
    refused = Figure(None, refused="too few")
    return SideFigures(
        way, "table-1", "c0de", 24, 2, 48, 0, rate, refused, rate, rate, replace(rate, value=0.07)
    )


OUTCOME = EvaluationOutcome(
    dataset="synthetic-2027",
    notes=(),
    row="image5-depth3",
    people=24,
    genuine=44,
    impostor=1012,
    policy="pilot-1",
    claimed_fmr=0.06,
    same=False,
    former=figures(FORMER),
    candidate=figures(CANDIDATE),
    differences=(Difference("eer", 0.0, -0.01, 0.01, False), Difference("cllr", -0.02, -0.03, -0.01, True)),
)
ASKED = BatchEvaluation("batch_1", EvaluationSet.SIMULATED, FORMER, CANDIDATE, NOW, NOW)
STATES = {
    "waits": ASKED,
    "under way": replace(ASKED, done=7, total=48),
    "failed": replace(
        ASKED, state=EvaluationState.FAILED, reason="weights-missing", next_step="recon weights pull"
    ),
    "done": replace(ASKED, state=EvaluationState.DONE, outcome=OUTCOME),
    "same": replace(ASKED, state=EvaluationState.DONE, outcome=replace(OUTCOME, same=True)),
}


def comparison(*evaluations: BatchEvaluation, probes: bool = True) -> BatchComparison:
    turned = (Turned(Decision.MATCH, Decision.INCONCLUSIVE, 2),)
    found = ProbesChange(20, SCORES, "pilot-1", turned, {Decision.MATCH: 42})
    return BatchComparison(
        "batch_1", 200, 100, SPREAD, SPREAD, None, None, 0, (), (), found if probes else None, evaluations
    )


def shown(found: BatchComparison) -> str:
    session = SignedIn(ApiKey("k", "ops", frozenset({Scope.OPS}), b"", False, NOW), "0" * 64)
    values = {"found": found, "batch_id": found.batch_id, "evaluations": found.evaluations, "rates": RATES}
    answer = page("comparison.html", session=session, path="/console", **values)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bytes(answer.body).decode()))


def printed(found: BatchComparison, capsys: pytest.CaptureFixture[str]) -> str:
    show_comparison(ComparisonBody.of(found).model_dump(mode="json"))
    return re.sub(r"\s+", " ", capsys.readouterr().out)


EXPECTED = {
    "waits": ("waits", "waits"),
    "under way": ("7 of 48", "7 of 48"),
    "failed": ("weights-missing . recon weights pull", "weights-missing. recon weights pull"),
    "done": ("-0.020 -0.030 to -0.010", "-0.020 (-0.030 to -0.010)"),
    "same": ("both ways are one here", "Both ways are one here"),
}


@pytest.mark.parametrize("state", sorted(STATES))
def test_evaluations(state: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    found = comparison(STATES[state])
    on_page, on_terminal = EXPECTED[state]
    assert on_page in shown(found)
    assert on_terminal in printed(found, capsys)


def test_recent_verifications_and_the_decisions_that_would_be_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    text = shown(comparison())
    assert "2 of 42 decisions would be others under pilot-1: 2 from MATCH to INCONCLUSIVE." in text
    assert "Not evaluated yet." in text
    text = printed(comparison(), capsys)
    assert "2 of 42 decisions would be others (pilot-1)" in text
    assert "INCONCLUSIVE" in text
    assert "--evaluate" in text
    assert "No verifications were kept" in shown(comparison(probes=False))
    assert "No verifications were kept" in printed(comparison(probes=False), capsys)
