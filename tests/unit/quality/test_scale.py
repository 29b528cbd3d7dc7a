"""Scores are monotone, bounded, and hit their corners."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.domain.errors import InvalidValue
from recon_service.domain.quality import Verdict
from recon_service.quality import QualityLimits
from recon_service.quality.scale import Scale, measure

corners = st.lists(st.integers(-1000, 1000), min_size=4, max_size=4, unique=True)


@given(corners, st.booleans(), st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_better_never_scores_less(values: list[int], falling: bool, one: float, other: float) -> None:
    scale = Scale(*(float(v) for v in sorted(values, reverse=falling)))
    worse, better = sorted((one, other), reverse=falling)
    assert 0 <= scale.score(worse) <= scale.score(better) <= 100


def test_corners() -> None:
    for scale in (Scale(0, 1, 2, 3), Scale(3, 2, 1, 0)):
        assert [scale.score(v) for v in (scale.worthless, scale.limit, scale.good, scale.ideal)] == [
            0,
            30,
            70,
            100,
        ]


def test_a_scale_runs_one_way() -> None:
    for wrong in ((0, 1, 1, 2), (0, 2, 1, 3), (3, 2, 1, 4)):
        with pytest.raises(InvalidValue):
            Scale(*wrong)


@pytest.mark.parametrize(
    ("score", "verdict"),
    [
        (0, Verdict.REJECTED),
        (29.9, Verdict.REJECTED),
        (30, Verdict.WARNING),
        (69.9, Verdict.WARNING),
        (70, Verdict.GOOD),
    ],
)
def test_verdicts(score: float, verdict: Verdict) -> None:
    made = measure("x", 1.0, "u", score, "Do something.")
    assert made.verdict is verdict
    assert made.hint == ("" if verdict is Verdict.GOOD else "Do something.")


def test_limits_out_of_order_are_refused() -> None:
    for wrong in (
        {"min_eye_distance_px": 80},
        {"good_yaw_deg": 60},
        {"min_brightness": 50},
        {"max_clipped": 1.5},
        {"min_presence": 0},
        {"good_in_frame": 1.0},
    ):
        with pytest.raises(InvalidValue):
            QualityLimits(**wrong)
