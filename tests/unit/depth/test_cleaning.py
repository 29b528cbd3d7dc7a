from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.depth.cleaning import clean_depth

INSIDE = np.s_[4:-4, 4:-4]


@given(slope=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_a_plane_stays_what_it_is(slope: tuple[float, float]) -> None:
    v, u = np.mgrid[0:30, 0:40].astype(np.float64)
    depth = 700.0 + slope[0] * u + slope[1] * v
    np.testing.assert_allclose(clean_depth(depth)[INSIDE], depth[INSIDE], atol=1e-3)


def test_smoothing_takes_noise_away_and_no_bias_in() -> None:
    depth = 700.0 + np.random.default_rng(0).normal(0, 1.0, (200, 200))
    left = clean_depth(depth)[INSIDE]
    assert left.mean() == pytest.approx(700.0, abs=0.02)
    assert left.std() < 0.5


def test_a_flying_pixel_goes_and_takes_its_neighbors_only() -> None:
    depth = np.full((30, 30), 700.0)
    depth[15, 15] = 760.0
    gone = clean_depth(depth) == 0
    assert gone[15, 15]
    assert gone.sum() <= 9
    assert not gone[:13].any()


def test_both_sides_of_an_edge_stay_clear_of_each_other() -> None:
    depth = np.full((30, 30), 700.0)
    depth[:, 15:] = 900.0
    cleaned = clean_depth(depth)
    assert set(np.unique(np.round(cleaned, 3))) <= {0.0, 700.0, 900.0}, "nothing in between is invented"
    assert (cleaned[5:-5, 14:16] == 0).all()


def test_what_was_not_measured_stays_so() -> None:
    rng = np.random.default_rng(1)
    depth = np.where(rng.random((60, 60)) < 0.3, 0.0, 700.0)
    cleaned = clean_depth(depth)
    assert (cleaned[depth == 0] == 0).all()
    np.testing.assert_allclose(cleaned[cleaned > 0], 700.0, atol=1e-3)
    assert not clean_depth(np.zeros((20, 20))).any()
