"""A score map never falls, and keeps within what its doubt allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.comparison.score_map import ScoreMap, fused
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.calibration import MAX_OFFSET, AffineCalibration, learned_map
from recon_service.evaluation.metrics import cllr

numbers = st.floats(-50, 50)
maps = st.builds(ScoreMap, slope=st.floats(0, 10), offset=numbers, doubt=st.floats(0, 0.9))


@settings(deadline=None)
@given(maps, st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_a_higher_score_is_never_worth_less(score_map: ScoreMap, scores: list[float]) -> None:
    ratios = score_map(np.sort(scores))
    # Up to the rounding of the last digits.
    assert (np.diff(ratios) >= -1e-13 * max(1.0, float(np.abs(ratios).max()))).all()
    assert (np.abs(ratios) <= score_map.limit + 1e-9).all()
    assert score_map(float(min(scores))) == pytest.approx(ratios[0])


@settings(deadline=None)
@given(numbers, st.floats(1e-6, 0.5))
def test_a_map_treats_both_hypotheses_alike(score: float, doubt: float) -> None:
    score_map = ScoreMap(1.0, 0.0, doubt)
    assert score_map(-score) == pytest.approx(-score_map(score), abs=1e-9)
    assert abs(score_map(score)) <= abs(score) + 1e-9


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(0, 3))
def test_what_is_learned_never_falls(seed: int, apart: float) -> None:
    rng = np.random.default_rng(seed)
    learned = learned_map(rng.normal(apart, 1, 40), rng.normal(0, 1, 90), people=11)
    assert learned.slope >= 0
    assert learned.offset <= MAX_OFFSET
    assert learned.limit <= np.log(55) + 1e-9, "eleven people are 55 pairs"


def test_a_few_spoiled_captures_do_not_flatten_the_map() -> None:
    rng = np.random.default_rng(0)
    genuine = np.concatenate([rng.normal(12, 4, 980), rng.normal(-90, 30, 20)])
    impostor = rng.normal(-40, 12, 20_000)
    learned, plain = learned_map(genuine, impostor, people=100), AffineCalibration.learned(genuine, impostor)
    assert learned.slope > 2 * plain.slope
    assert cllr(learned(genuine), learned(impostor)) < cllr(plain(genuine), plain(impostor)) - 0.03


def test_ratios_of_what_is_there_add_up() -> None:
    assert fused({"shape": 1.5, "appearance": -0.25}) == 1.25
    assert fused({"shape": 1.5, "appearance": None}) == 1.5
    assert fused({"shape": None}) is None


@pytest.mark.parametrize("wrong", [{"slope": -1.0}, {"offset": np.nan}, {"doubt": 1.0}, {"people": -1}])
def test_a_map_that_could_fall_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValue):
        ScoreMap(**{"slope": 1.0, "offset": 0.0, **wrong})  # type: ignore[arg-type]
