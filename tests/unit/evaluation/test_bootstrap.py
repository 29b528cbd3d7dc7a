from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from recon_service.domain.arrays import Array
from recon_service.evaluation.bootstrap import interval, resamples
from recon_service.evaluation.metrics import area_under_curve, equal_error_rate, fnmr_at_fmr

Compared = tuple[Array, NDArray[np.int64], NDArray[np.int64]]


def population(rng: np.random.Generator, people: int, *, each: int = 3) -> Compared:
    """Scores that depend on who is compared: some people are hard to recognize, some pairs look alike."""
    first, second = (x.ravel() for x in np.indices((people, people)))
    keep = first <= second
    first, second = np.repeat(first[keep], each), np.repeat(second[keep], each)
    hard, alike = rng.standard_normal(people), rng.standard_normal((people, people))
    genuine = first == second
    scores = np.where(genuine, 2.0 - 0.7 * hard[first], 0.5 * alike[first, second])
    return scores + 0.7 * rng.standard_normal(len(scores)), first, second


def test_weights_of_one_give_the_rates_themselves() -> None:
    scores, first, second = population(np.random.default_rng(0), 30)
    genuine = first == second

    class Everybody:
        """Draws everybody once."""

        def integers(self, high: int, size: int) -> NDArray[np.int64]:
            return np.arange(size)

    original = np.random.default_rng
    np.random.default_rng = lambda seed=None: Everybody()  # type: ignore[assignment, return-value]
    try:
        (draw,) = resamples(scores, first, second, 30, count=1)
    finally:
        np.random.default_rng = original
    g, i = scores[genuine], scores[~genuine]
    assert draw.equal_error_rate() == pytest.approx(equal_error_rate(g, i), abs=2e-3)
    assert draw.area_under_curve() == pytest.approx(area_under_curve(g, i), abs=1e-3)
    assert draw.fnmr_at(1e-2) == pytest.approx(fnmr_at_fmr(g, i, 1e-2), abs=0.02)


def test_intervals_cover_the_truth_of_the_population() -> None:
    rng = np.random.default_rng(7)
    # Genuine scores are N(2, 0.7² + 0.7²), impostor scores N(0, 0.5² + 0.7²).
    truth = float(norm.cdf(-2 / (np.hypot(0.7, 0.7) + np.hypot(0.5, 0.7))))
    covered, widths = [], []
    for trial in range(60):
        scores, first, second = population(rng, 25)
        values = [d.equal_error_rate() for d in resamples(scores, first, second, 25, seed=trial, count=120)]
        low, high = interval(values, equal_error_rate(*separated((scores, first, second))), 25) or (1.0, 0.0)
        covered.append(low <= truth <= high)
        widths.append(high - low)
    # 95 % nominal; drawing comparisons instead of people would cover about two thirds.
    assert np.mean(covered) >= 0.85
    assert np.mean(widths) < 0.25


def separated(compared: Compared) -> tuple[Array, Array]:
    scores, first, second = compared
    return scores[first == second], scores[first != second]


def test_more_people_narrow_the_interval_more_comparisons_do_not() -> None:
    def width(people: int, each: int) -> float:
        rng = np.random.default_rng(1)
        found = []
        for _ in range(6):
            scores, first, second = population(rng, people, each=each)
            drawn = resamples(scores, first, second, people, count=150)
            estimate = equal_error_rate(*separated((scores, first, second)))
            low, high = interval([d.equal_error_rate() for d in drawn], estimate, people) or (0.0, 0.0)
            found.append(high - low)
        return float(np.mean(found))

    assert width(60, 3) < 0.75 * width(15, 3)
    assert width(15, 30) > 0.6 * width(15, 3)


def test_the_same_seed_gives_the_same_interval() -> None:
    compared = population(np.random.default_rng(2), 10)
    values = [[d.equal_error_rate() for d in resamples(*compared, 10, count=20)] for _ in range(2)]
    assert values[0] == values[1]
    assert interval([], 0.1, 10) is None


def test_no_error_among_few_people_is_no_proof() -> None:
    found = interval([0.0] * 100, 0.0, 11)
    assert found is not None
    # The chance that 11 people are all without error where a share p has one is (1 - p)^11 = 5 %.
    assert found[0] == 0.0
    assert (1 - found[1]) ** 11 == pytest.approx(0.05)
    assert interval([1.0] * 100, 1.0, 11) == pytest.approx((1 - found[1], 1.0))
