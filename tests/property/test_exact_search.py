"""The search by bounds finds what comparing with everybody finds, whatever the population."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import special_ortho_group

from recon_service.comparison.pair_score import PairScore
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.search.bounding_space import BoundingSpace
from recon_service.search.exact_search import best_of
from recon_service.search.vector_blocks import BlockScan, VectorBlocks
from tests.property.test_pair_score import K, random_score, seeds

ranks = st.integers(1, K)


def population(score: PairScore, rng: np.random.Generator, people: int) -> tuple[Array, Array]:
    """References of so many people, and a probe of the first, as the model of the score has them."""
    who = rng.multivariate_normal(np.zeros(K), score.between, people)
    changes = rng.multivariate_normal(np.zeros(K), score.within, people + 1)
    references = who @ score.gains[0].T + changes[:-1] + score.centers[0]
    return references, who[0] @ score.gains[1].T + changes[-1] + score.centers[1]


@settings(max_examples=40)
@given(seeds, ranks, st.floats(0.01, 300.0), st.booleans())
def test_no_bound_is_below_the_score(seed: int, rank: int, spread: float, turned: bool) -> None:
    """In single precision, for scores of any size."""
    rng = np.random.default_rng(seed)
    plain = random_score(rng)
    score = PairScore(plain.centers, plain.gains, plain.within, spread * plain.between)
    turn = np.asarray(special_ortho_group.rvs(rank + 2, random_state=rng)) if turned else None
    space = BoundingSpace(score, rank, turn)
    references, mean = population(score, rng, 50)
    probe = space.probe(mean)
    bounds = space.references(references) @ probe.vector + probe.constant
    scores = space.exact(references, probe)
    assert (bounds + probe.slack >= scores).all()
    if rank == K:
        assert np.abs(bounds - scores).max() <= probe.slack, "all directions: the score itself"


@settings(max_examples=40)
@given(seeds, ranks, st.integers(1, 12), st.integers(1, 300), st.booleans())
def test_the_best_are_those_of_comparing_with_everybody(
    seed: int, rank: int, count: int, people: int, floored: bool
) -> None:
    rng = np.random.default_rng(seed)
    score = random_score(rng)
    space = BoundingSpace(score, rank)
    references, mean = population(score, rng, people)
    blocks = VectorBlocks(space.dimension, block_rows=32)
    blocks.append(space.references(references))
    probe = space.probe(mean)
    scores = space.exact(references, probe)
    least = float(np.median(scores)) if floored else -np.inf
    found = best_of(
        BlockScan(blocks, probe),
        count=count,
        exact=lambda rows: space.exact(references[rows], probe),
        slack=probe.slack,
        least=least,
    )
    wanted = [row for row in np.argsort(-scores)[:count] if scores[row] >= least]
    assert list(found.rows) == wanted
    np.testing.assert_allclose(found.scores, scores[wanted], atol=1e-9)


@settings(max_examples=40)
@given(seeds, st.lists(st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=60))
def test_blocks_hold_what_was_put_in_and_not_taken_out(seed: int, changes: list[tuple[bool, int]]) -> None:
    rng = np.random.default_rng(seed)
    blocks, expected = VectorBlocks(3, block_rows=4), np.empty((0, 3), dtype=np.float32)
    for add, number in changes:
        if add or not len(expected):
            more = rng.standard_normal((number % 7, 3)).astype(np.float32)
            blocks.append(more)
            expected = np.concatenate([expected, more])
        else:
            row = number % len(expected)
            blocks.remove(row)
            expected[row] = expected[-1]
            expected = expected[:-1]
    assert len(blocks) == len(expected)
    np.testing.assert_array_equal(np.concatenate([np.empty((0, 3)), *blocks.filled()]), expected)
    np.testing.assert_array_equal(blocks.rows(np.arange(len(expected))), expected)


@settings(max_examples=60)
@given(
    st.floats(0.01, 3.0), st.floats(-3.0, 3.0), st.sampled_from([0.0, 1e-4, 0.02, 0.3]), st.floats(-8.0, 8.0)
)
def test_a_score_is_worth_what_the_least_score_says(
    slope: float, offset: float, doubt: float, llr: float
) -> None:
    score_map = ScoreMap(slope, offset, doubt)
    least = score_map.least_score(llr)
    if np.isfinite(least):
        assert score_map(least) == pytest.approx(llr, abs=1e-4)
    else:
        assert (least < 0) == (llr <= -score_map.limit)


def test_a_rank_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidValue):
        BoundingSpace(random_score(np.random.default_rng(0)), K + 1)
