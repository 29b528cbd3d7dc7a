from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.discard import discard_curve


def test_a_quality_that_knows_the_scores_discards_the_errors_first() -> None:
    scores = np.arange(100.0)
    curve = discard_curve(scores, scores, threshold=20.0)
    assert curve.fnmr[0] == pytest.approx(0.2)
    assert curve.fnmr[-1] == 0.0
    assert curve.area == curve.best < 0.3


def test_a_quality_that_knows_nothing_leaves_the_curve_flat() -> None:
    scores = np.random.default_rng(0).normal(size=4000)
    assert discard_curve(scores, np.zeros(4000), threshold=-1.0).area == pytest.approx(1.0)
    random = np.random.default_rng(1).normal(size=4000)
    assert discard_curve(scores, random, threshold=-1.0).area == pytest.approx(1.0, abs=0.1)
    assert discard_curve(scores, -scores, threshold=-1.0).area > 1.3


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 4)), min_size=2, max_size=40))
def test_no_quality_is_better_than_the_scores_themselves(pairs: list[tuple[float, int]]) -> None:
    scores, quality = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    if not (scores < 0).any():
        with pytest.raises(InvalidValue):
            discard_curve(scores, quality, threshold=0.0)
        return
    curve = discard_curve(scores, quality, threshold=0.0)
    assert curve.best <= curve.area + 1e-9
    assert all(0 <= rate <= 1 for rate in curve.fnmr)
