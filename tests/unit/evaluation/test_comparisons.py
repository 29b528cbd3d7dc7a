from __future__ import annotations

import numpy as np

from recon_service.comparison.likelihood_ratio import compare
from recon_service.evaluation.comparisons import Comparisons, Observed, apart
from recon_service.evaluation.scores import Sides, released_llr
from tests.observations import random_posterior
from tests.people import KIND, plain_calibration


def test_many_pairs_score_as_the_service_scores_one() -> None:
    rng = np.random.default_rng(1)
    posteriors = [[random_posterior(rng) for _ in range(3)] for _ in range(2)]
    first, second = (Observed.of(["a", "b", "c"], side, [KIND] * 3) for side in posteriors)
    a, b = (x.ravel() for x in np.indices((3, 3)))
    calibration = plain_calibration(slope=0.5)
    found = released_llr(Sides(first, second, Comparisons(a, b), calibration, True)).values
    expected = [
        compare(
            posteriors[0][i],
            posteriors[1][j],
            reference_kind=KIND,
            probe_kind=KIND,
            calibration=calibration,
        ).llr
        for i, j in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_an_observation_on_both_sides_is_learned_from_once() -> None:
    rng = np.random.default_rng(2)
    side = Observed.of(["a", "b", "c"], [random_posterior(rng) for _ in range(3)], [KIND] * 3)
    joined = Observed.joined(side.take(np.array([0, 1])), side.take(np.array([1, 2])))
    assert joined.person.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(joined.mean, side.mean)


def test_sides_that_share_a_group_are_not_apart() -> None:
    groups = [frozenset("a"), frozenset("ab"), frozenset()]
    assert apart(groups, groups).tolist() == [[False, False, True], [False, False, True], [True] * 3]
