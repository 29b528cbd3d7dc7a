from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.evaluation.detectors.measures import (
    best_threshold,
    fold_accuracies,
    spread,
    verification,
)
from recon_service.evaluation.detectors.pairs import Pair


@given(st.integers(0, 10_000), st.integers(2, 40))
def test_no_threshold_decides_better(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    genuine = rng.random(count) < 0.5
    scores = np.round(rng.normal(size=count) + genuine, 1)  # ties

    def right(threshold: float) -> int:
        return int(((scores > threshold) == genuine).sum())

    best = right(best_threshold(scores, genuine))
    candidates = np.concatenate([scores, scores - 1e-6, scores + 1e-6, [-99, 99]])
    assert best == max(right(each) for each in candidates)


def test_the_threshold_of_a_fold_comes_from_the_others() -> None:
    # The fold's own pairs lie elsewhere: their best threshold would be right about all of them.
    scores = np.array([0.1, 0.9, 0.1, 0.9, 5.0, 6.0])
    genuine = np.array([False, True, False, True, False, True])
    folds = np.array([0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(fold_accuracies(scores, genuine, folds)[2], 0.5)


@given(st.integers(0, 1000))
def test_scores_that_say_nothing_are_right_half_of_the_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    genuine = np.tile([True, False], 500)
    found = fold_accuracies(rng.normal(size=1000), genuine, np.arange(1000) // 100)
    assert found.mean() == pytest.approx(0.5, abs=0.08)


def test_a_face_that_was_not_found_matches_nobody() -> None:
    e = np.eye(3)
    vectors = {"a/1": e[0], "a/2": e[0], "b/1": e[1], "b/2": e[1]}
    pairs = [Pair("a/1", "a/2", True, 0), Pair("b/1", "b/2", True, 1)]
    pairs += [Pair("a/1", "b/1", False, 0), Pair("a/2", "b/2", False, 1)]
    whole = verification(pairs, vectors)
    assert (whole.accuracy, whole.auc, whole.eer) == (1.0, 1.0, 0.0)
    del vectors["b/2"]
    without = verification(pairs, vectors)
    assert without.scores.tolist() == [1.0, -1.0, 0.0, -1.0]
    assert without.accuracy < 1
    assert without.auc < 1


@given(st.integers(0, 1000), st.floats(-100, 100), st.floats(0, 3))
def test_spread_is_that_of_the_noise_wherever_the_points_lie(seed: int, place: float, size: float) -> None:
    rng = np.random.default_rng(seed)
    points = place + rng.normal(size=(5, 2))
    views = [points + size * rng.normal(size=(5, 2)) for _ in range(400)]
    assert spread(views) == pytest.approx(size * np.sqrt(2), rel=0.1)
    assert spread([points] * 3) == pytest.approx(0, abs=1e-9)
