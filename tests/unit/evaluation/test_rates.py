from __future__ import annotations

import numpy as np
import pytest

from recon_service.evaluation.rates import people_pairs, rates, refusal


@pytest.mark.parametrize(
    ("fmr", "impostor", "pairs", "reason"),
    [
        (1e-2, 300, 55, ""),
        (1e-2, 299, 55, "needs 300"),
        (1e-2, 100_000, 9, "9 pairs of people"),
        (1e-3, 100_000, 55, "55 pairs of people"),
        (1e-3, 2_999, 4950, "needs 3,000"),
        (1e-3, 3_000, 100, ""),
    ],
)
def test_a_rate_needs_comparisons_and_people(fmr: float, impostor: int, pairs: int, reason: str) -> None:
    found = refusal(fmr, impostor, pairs)
    assert reason in found
    assert bool(found) == bool(reason)


def test_eleven_people_have_no_rate_at_one_in_a_thousand() -> None:
    rng = np.random.default_rng(0)
    first, second = (np.repeat(x.ravel(), 40) for x in np.indices((11, 11)))
    scores = rng.standard_normal(len(first)) + 2.0 * (first == second)
    found = rates(scores, first, second, 11, is_llr=True)
    assert found.fnmr["1e-3"] is None
    assert "55 pairs of people" in found.refused["1e-3"]
    assert found.intervals["fnmr_at_fmr_1e-3"] is None
    assert found.fnmr["1e-2"] is not None
    low, high = found.intervals["eer"] or (1.0, 0.0)
    assert low <= found.eer <= high
    assert found.cllr is not None
    assert found.min_cllr <= found.cllr
    assert rates(scores, first, second, 11, is_llr=False).cllr is None


def test_pairs_of_people_are_counted_once() -> None:
    first, second = np.array([0, 1, 1, 2, 2]), np.array([1, 0, 1, 2, 0])
    assert people_pairs(first, second) == 2
