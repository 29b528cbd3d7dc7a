from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import norm

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.metrics import area_under_curve, cllr, equal_error_rate, fnmr_at_fmr

scores = st.lists(st.integers(-20, 20), min_size=1, max_size=30).map(lambda v: np.array(v, dtype=float))


def by_hand_rates(genuine: np.ndarray, impostor: np.ndarray) -> list[tuple[float, float]]:
    thresholds = [-np.inf, *sorted({*genuine, *impostor}), np.inf]
    return [((impostor >= t).mean(), (genuine < t).mean()) for t in thresholds]


@given(genuine=scores, impostor=scores)
def test_auc_is_the_share_of_pairs_in_order(genuine: np.ndarray, impostor: np.ndarray) -> None:
    pairs = [1.0 if g > i else 0.5 if g == i else 0.0 for g in genuine for i in impostor]
    assert area_under_curve(genuine, impostor) == pytest.approx(np.mean(pairs))


@given(genuine=scores, impostor=scores)
def test_eer_is_the_best_worst_error_of_mixtures_of_thresholds(
    genuine: np.ndarray, impostor: np.ndarray
) -> None:
    """On the hull, the equal error is the least max(FMR, FNMR) over mixtures of two thresholds."""
    points = by_hand_rates(genuine, impostor)
    best = 1.0
    for x0, y0 in points:
        for x1, y1 in points:
            d0, d1 = y0 - x0, y1 - x1
            share = np.clip(d0 / (d0 - d1), 0.0, 1.0) if d0 != d1 else 0.0
            best = min(best, max(x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
    assert equal_error_rate(genuine, impostor) == pytest.approx(best, abs=1e-9)


@given(genuine=scores, impostor=scores)
def test_only_the_order_of_scores_matters(genuine: np.ndarray, impostor: np.ndarray) -> None:
    def bent(x: np.ndarray) -> np.ndarray:
        return np.exp(x / 5.0) + x**3

    assert equal_error_rate(bent(genuine), bent(impostor)) == equal_error_rate(genuine, impostor)
    assert area_under_curve(bent(genuine), bent(impostor)) == area_under_curve(genuine, impostor)
    assert fnmr_at_fmr(bent(genuine), bent(impostor), 1.0) == fnmr_at_fmr(genuine, impostor, 1.0)


@given(genuine=scores, impostor=scores)
def test_turning_the_scores_around_swaps_the_sides(genuine: np.ndarray, impostor: np.ndarray) -> None:
    assert area_under_curve(-impostor, -genuine) == pytest.approx(area_under_curve(genuine, impostor))
    assert equal_error_rate(-impostor, -genuine) == pytest.approx(
        equal_error_rate(genuine, impostor), abs=1e-9
    )


def test_two_normal_distributions_have_the_error_of_theory() -> None:
    """Means two apart, unit variance: EER = Φ(-1), AUC = Φ(√2); quantiles stand for infinite samples."""
    grid = ndtri((np.arange(4000) + 0.5) / 4000)
    assert equal_error_rate(grid + 2.0, grid) == pytest.approx(norm.cdf(-1.0), abs=2e-3)
    assert area_under_curve(grid + 2.0, grid) == pytest.approx(norm.cdf(np.sqrt(2.0)), abs=2e-3)
    assert fnmr_at_fmr(grid + 2.0, grid, 0.01) == pytest.approx(norm.cdf(norm.isf(0.01) - 2.0), abs=5e-3)


@pytest.mark.parametrize(
    ("genuine", "impostor", "eer", "auc"),
    [([2, 3], [0, 1], 0, 1), ([0, 1], [2, 3], 0.5, 0), ([1], [1], 0.5, 0.5)],
)
def test_extremes(genuine: list[float], impostor: list[float], eer: float, auc: float) -> None:
    """Scores in the wrong order: the hull of the ROC never lies above chance."""
    g, i = np.array(genuine, float), np.array(impostor, float)
    assert equal_error_rate(g, i) == pytest.approx(eer)
    assert area_under_curve(g, i) == auc


@given(genuine=scores, impostor=scores, fmr=st.sampled_from([0.05, 0.1, 0.25, 0.5, 1.0]))
def test_fnmr_is_the_least_of_thresholds_that_keep_the_fmr(
    genuine: np.ndarray, impostor: np.ndarray, fmr: float
) -> None:
    if len(impostor) * fmr < 1:
        with pytest.raises(InvalidValue, match="cannot support"):
            fnmr_at_fmr(genuine, impostor, fmr)
        return
    allowed = [fnmr for rate, fnmr in by_hand_rates(genuine, impostor) if rate <= fmr + 1e-12]
    assert fnmr_at_fmr(genuine, impostor, fmr) == pytest.approx(min(allowed))


def test_cllr_by_its_definition() -> None:
    genuine, impostor = np.array([2.0, -1.0, 5.0]), np.array([-3.0, 0.5])
    expected = 0.5 * (
        np.mean([np.log2(1 + np.exp(-x)) for x in genuine])
        + np.mean([np.log2(1 + np.exp(x)) for x in impostor])
    )
    assert cllr(genuine, impostor) == pytest.approx(expected)
    assert cllr(np.zeros(4), np.zeros(9)) == pytest.approx(1.0), "scores that say nothing"
    assert cllr(np.array([1000.0]), np.array([-1000.0])) == 0.0
    assert np.isfinite(cllr(np.array([-1000.0]), np.array([1000.0])))


@pytest.mark.parametrize("metric", [equal_error_rate, area_under_curve, cllr])
@pytest.mark.parametrize(
    ("genuine", "impostor"), [([], [1.0]), ([1.0], []), ([np.nan], [1.0]), ([1.0], [np.inf])]
)
def test_what_cannot_be_measured_is_refused(metric, genuine: list[float], impostor: list[float]) -> None:
    with pytest.raises(InvalidValue):
        metric(np.array(genuine), np.array(impostor))
