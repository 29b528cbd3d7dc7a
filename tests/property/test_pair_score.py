"""The score of a pair of kinds: densities, symmetry, and what it does not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, special_ortho_group

from recon_service.comparison.calibration import Calibration, PairCalibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.pair_score import PairScore
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue

K = 5
seeds = st.integers(0, 2**32 - 1)
KINDS = EvidenceKind("selfies-photometric", "visible", 5), EvidenceKind("depth", "kinect2", 3)


def covariance(rng: np.random.Generator) -> Array:
    root = rng.standard_normal((K, K))
    return np.asarray(root @ root.T / K + 0.2 * np.eye(K))


def random_score(rng: np.random.Generator, *, one_kind: bool = False) -> PairScore:
    gains = [np.eye(K) - 0.3 * covariance(rng) / 3 for _ in range(2)]
    centers = [rng.standard_normal(K) for _ in range(2)]
    if one_kind:
        gains[1], centers[1] = gains[0], centers[0]
    return PairScore((centers[0], centers[1]), (gains[0], gains[1]), covariance(rng), covariance(rng))


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_the_score_is_the_ratio_of_the_densities_it_claims(seed: int) -> None:
    """By scipy's densities, for sides of the length that the model expects."""
    rng = np.random.default_rng(seed)
    score = random_score(rng)
    totals = [g @ score.between @ g.T + score.within for g in score.gains]
    across = score.gains[0] @ score.between @ score.gains[1].T
    sides = []
    for total in totals:
        x = rng.standard_normal(K)
        sides.append(x * np.sqrt(K / (x @ np.linalg.solve(total, x))))
    joint = np.block([[totals[0], across], [across.T, totals[1]]])
    expected = multivariate_normal.logpdf(np.concatenate(sides), cov=joint) - sum(
        multivariate_normal.logpdf(x, cov=total) for x, total in zip(sides, totals, strict=True)
    )
    found = score(*(x[None] + c for x, c in zip(sides, score.centers, strict=True)))
    assert found[0] == pytest.approx(expected, abs=1e-8)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_exchanging_the_sides_with_their_kinds_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = random_score(rng)
    a, b = rng.standard_normal((2, 7, K))
    np.testing.assert_allclose(score.swapped()(b, a), score(a, b), atol=1e-9)
    calibration = Calibration("c", "s", {KINDS: PairCalibration(score, ScoreMap(0.4, 0.1, 0.02))})
    there, back = calibration.llr(*KINDS, a, b), calibration.llr(*KINDS[::-1], b, a)
    np.testing.assert_allclose(there[0], back[0], atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_equal_evidence_may_change_roles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = random_score(rng, one_kind=True)
    a, b = rng.standard_normal((2, 7, K))
    np.testing.assert_allclose(score(a, b), score(b, a), atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_the_choice_of_the_axes_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = random_score(rng)
    turn = special_ortho_group.rvs(K, random_state=np.random.default_rng(seed))
    turned = PairScore(
        (turn @ score.centers[0], turn @ score.centers[1]),
        (turn @ score.gains[0] @ turn.T, turn @ score.gains[1] @ turn.T),
        turn @ score.within @ turn.T,
        turn @ score.between @ turn.T,
    )
    a, b = rng.standard_normal((2, 4, K))
    np.testing.assert_allclose(turned(a @ turn.T, b @ turn.T), score(a, b), atol=1e-8)


def test_many_rows_score_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    score = random_score(rng)
    a, b = rng.standard_normal((3, K)), rng.standard_normal((4, K))
    rows, others = (x.ravel() for x in np.indices((3, 4)))
    found = score.of_pairs(a, b, rows, others)
    np.testing.assert_allclose(found, score(a[rows], b[others]), atol=1e-12)


@pytest.mark.parametrize("part", ["within", "between"])
def test_a_covariance_that_is_none_is_refused(part: str) -> None:
    good = random_score(np.random.default_rng(1))
    matrices = {"within": good.within, "between": good.between}
    with pytest.raises(InvalidValue):
        PairScore(good.centers, good.gains, **{**matrices, part: matrices[part] - 9 * np.eye(K)})
    with pytest.raises(InvalidValue):
        PairScore(good.centers, good.gains, **{**matrices, part: np.full((K, K), np.nan)})
