from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.calibration import AffineCalibration, min_cllr
from recon_service.evaluation.metrics import cllr

few = st.lists(st.integers(0, 3), min_size=1, max_size=5)


def brute_force(genuine: Array, impostor: Array) -> float:
    """Every way to merge neighboring score levels; within a merged block the best value is its share of
    genuine ones, and blocks whose shares fall are not a rising transformation.
    """
    levels = np.unique(np.concatenate([genuine, impostor]))
    best = np.inf
    for cuts in itertools.product([False, True], repeat=len(levels) - 1):
        block = np.concatenate([[0], np.cumsum(cuts)])
        cost, last = 0.0, -1.0
        for number in range(int(block[-1]) + 1):
            members = levels[block == number]
            g, i = np.isin(genuine, members).mean(), np.isin(impostor, members).mean()
            share = g / (g + i)
            if share < last:
                break
            last = share
            cost += (-g * np.log2(share) if g else 0.0) + (-i * np.log2(1 - share) if i else 0.0)
        else:
            best = min(best, cost / 2)
    return float(best)


@given(few, few)
def test_min_cllr_is_the_least_of_all_rising_transformations(genuine: list[int], impostor: list[int]) -> None:
    g, i = np.array(genuine, dtype=float), np.array(impostor, dtype=float)
    assert min_cllr(g, i) == pytest.approx(brute_force(g, i), abs=1e-12)


@given(few, few, st.floats(0.1, 5), st.floats(-3, 3))
def test_no_affine_map_does_better_and_rising_maps_change_nothing(
    genuine: list[int], impostor: list[int], slope: float, offset: float
) -> None:
    g, i = np.array(genuine, dtype=float), np.array(impostor, dtype=float)
    least = min_cllr(g, i)
    assert least <= cllr(slope * g + offset, slope * i + offset) + 1e-12
    assert least == pytest.approx(min_cllr(np.exp(g), np.exp(i)), abs=1e-12)
    assert 0 <= least <= 1 + 1e-12


def test_separated_scores_cost_nothing_and_equal_ones_a_bit() -> None:
    assert min_cllr(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 0.0
    assert min_cllr(np.ones(3), np.ones(5)) == pytest.approx(1.0)
    with pytest.raises(InvalidValue):
        min_cllr(np.ones(0), np.ones(1))


def test_the_learned_calibration_has_the_least_cllr_of_all_affine_ones() -> None:
    rng = np.random.default_rng(0)
    g, i = 40 + 10 * rng.standard_normal(200), 20 + 10 * rng.standard_normal(900)
    learned = AffineCalibration.learned(g, i)
    free = minimize(lambda x: cllr(x[0] * g + x[1], x[0] * i + x[1]), [0.1, -3.0], method="Nelder-Mead").fun
    assert cllr(learned(g), learned(i)) == pytest.approx(free, abs=1e-4)
    # Two Gaussians of one variance: slope (m1 - m2) / s², zero in the middle.
    assert learned.slope == pytest.approx(0.2, rel=0.15)
    assert -learned.offset / learned.slope == pytest.approx(30, abs=1.5)


def test_a_score_that_falls_gets_no_weight_and_perfect_separation_a_finite_one() -> None:
    assert AffineCalibration.learned(np.array([0.0, 1.0]), np.array([5.0, 6.0])).slope == 0.0
    assert np.isfinite(AffineCalibration.learned(np.array([9.0, 9.5]), np.array([0.0, 1.0])).slope)
