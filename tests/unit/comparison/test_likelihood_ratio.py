from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, special_ortho_group

from recon_service.comparison.likelihood_ratio import compare, corrected, log_likelihood_ratio
from recon_service.comparison.noise import NoiseTable, SourceNoise
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.posterior import IdentityPosterior
from tests.observations import random_posterior

seeds = st.integers(0, 2**32 - 1)
EXACT = SourceNoise(inflation=1.0)


def table(**sources: SourceNoise) -> NoiseTable:
    return NoiseTable("test", {"generic": EXACT, **sources})


def score(one: IdentityPosterior, other: IdentityPosterior, noise: NoiseTable | None = None) -> float:
    return compare(one, other, reference_source="a", probe_source="b", noise=noise or table()).llr


@given(seed=seeds)
def test_the_score_is_the_ratio_of_the_densities_it_claims(seed: int) -> None:
    """Observations y = a + noise: jointly Gaussian, with and without the common a. By scipy's densities."""
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((2, 3, 3))
    noises = [root @ root.T + 0.1 * np.eye(3) for root in roots]
    y = rng.standard_normal((2, 3))
    posteriors = [
        IdentityPosterior.from_evidence("x", np.linalg.inv(n), np.linalg.solve(n, v))
        for n, v in zip(noises, y, strict=True)
    ]
    eye = np.eye(3)
    apart = [multivariate_normal.logpdf(v, cov=eye + n) for n, v in zip(noises, y, strict=True)]
    joint = np.block([[eye + noises[0], eye], [eye, eye + noises[1]]])
    together = multivariate_normal.logpdf(y.ravel(), cov=joint)
    assert score(*posteriors) == pytest.approx(together - sum(apart), abs=1e-6)


@given(seed=seeds)
def test_the_score_is_symmetric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = random_posterior(rng), random_posterior(rng)
    noise = table(a=SourceNoise(2.0, 0.3), b=SourceNoise(2.0, 0.3))
    assert score(one, other, noise) == pytest.approx(score(other, one, noise), abs=1e-9)


@given(seed=seeds)
def test_the_choice_of_the_axes_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = random_posterior(rng), random_posterior(rng)
    turn = special_ortho_group.rvs(6, random_state=np.random.default_rng(seed))
    turned = [IdentityPosterior(p.space, turn @ p.mean, turn @ p.covariance @ turn.T) for p in (one, other)]
    noise = table(a=SourceNoise(3.0, 0.5), b=SourceNoise(1.5, 0.2))
    assert score(turned[0], turned[1], noise) == pytest.approx(score(one, other, noise), abs=1e-7)


@given(seed=seeds)
def test_an_observation_of_nothing_scores_zero(seed: int) -> None:
    posterior = random_posterior(np.random.default_rng(seed))
    nothing = IdentityPosterior.prior(posterior.space, 6)
    assert score(posterior, nothing) == pytest.approx(0.0, abs=1e-9)


def people(
    rng: np.random.Generator, count: int, *, noise_sd: float = 0.7, modes: int = 8
) -> tuple[list[IdentityPosterior], list[IdentityPosterior]]:
    """Two observations of each of ``count`` persons."""
    truth = rng.standard_normal((count, modes))
    sides = []
    for _ in range(2):
        seen = truth + noise_sd * rng.standard_normal(truth.shape)
        information = np.eye(modes) / noise_sd**2
        sides.append([IdentityPosterior.from_evidence("x", information, information @ y) for y in seen])
    return sides[0], sides[1]


def test_one_person_scores_above_two_and_the_ratio_is_calibrated() -> None:
    """With the noise that is assumed, E[1/LR | same] = 1 = E[LR | different], and each mean has its sign."""
    first, second = people(np.random.default_rng(0), 600, noise_sd=1.2, modes=3)
    same = np.array([score(a, b) for a, b in zip(first, second, strict=True)])
    other = np.array([score(a, b) for a, b in zip(first, second[1:] + second[:1], strict=True)])
    assert same.mean() > 0 > other.mean()
    assert (same[:, None] > other[None]).mean() > 0.65
    assert np.exp(-same).mean() == pytest.approx(1.0, abs=0.2)
    assert np.exp(other).mean() == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("weaker", [SourceNoise(4.0), SourceNoise(1.0, 1.0), SourceNoise(4.0, 1.0)], ids=str)
def test_more_noise_in_the_table_draws_scores_toward_zero(weaker: SourceNoise) -> None:
    first, second = people(np.random.default_rng(1), 60)
    pairs = [(a, b) for i, a in enumerate(first) for j, b in enumerate(second) if j in (i, (i + 1) % 60)]
    sure = np.abs([score(a, b) for a, b in pairs])
    unsure = np.abs([score(a, b, table(a=weaker, b=weaker)) for a, b in pairs])
    assert unsure.mean() < 0.7 * sure.mean()


@given(seed=seeds)
def test_spread_is_added_to_the_noise_covariance(seed: int) -> None:
    posterior = random_posterior(np.random.default_rng(seed))
    information, vector = corrected(posterior, EXACT)
    spread, spread_vector = corrected(posterior, SourceNoise(2.0, 0.6))
    np.testing.assert_allclose(
        np.linalg.inv(spread), 2.0 * np.linalg.inv(information) + 0.36 * np.eye(6), atol=1e-5, rtol=1e-6
    )
    observed = np.linalg.solve(information, vector)
    np.testing.assert_allclose(np.linalg.solve(spread, spread_vector), observed, atol=1e-6)


def test_centering_moves_the_mean_and_keeps_the_information() -> None:
    posterior = random_posterior(np.random.default_rng(3))
    center = np.array([0.5, -1.0, 0.0, 2.0, 0.3, -0.2])
    information, vector = corrected(posterior, SourceNoise(1.0, center=center))
    moved = IdentityPosterior.from_evidence("x", information, vector)
    np.testing.assert_allclose(moved.mean, posterior.mean - center, atol=1e-9)
    np.testing.assert_allclose(moved.covariance, posterior.covariance, atol=1e-9)


def test_a_common_offset_of_a_source_is_taken_out_by_its_center() -> None:
    first, second = people(np.random.default_rng(4), 20)
    offset = np.full(8, 0.8)
    biased = [IdentityPosterior(p.space, p.mean + offset, p.covariance) for p in second]
    noise = table(b=SourceNoise(1.0, center=offset))
    for a, b, shifted in zip(first, second, biased, strict=True):
        assert score(a, shifted, noise) == pytest.approx(score(a, b), abs=1e-9)


def test_two_spaces_are_not_compared() -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(ModelMismatch, match=r"test/1.*other"):
        score(random_posterior(rng), random_posterior(rng, space="other"))


def test_the_score_names_its_sources_and_the_table() -> None:
    rng = np.random.default_rng(6)
    result = compare(
        random_posterior(rng), random_posterior(rng), reference_source="a", probe_source="b", noise=table()
    )
    assert (result.reference_source, result.probe_source, result.calibration) == ("a", "b", "test")


@given(y=st.floats(-5, 5), z=st.floats(-5, 5), n=st.floats(0.05, 10), m=st.floats(0.05, 10))
def test_in_one_dimension_it_is_the_closed_form(y: float, z: float, n: float, m: float) -> None:
    """log N([y z]; 0, [[1+n, 1], [1, 1+m]]) - log N(y; 0, 1+n) - log N(z; 0, 1+m), by hand."""
    determinant = (1 + n) * (1 + m) - 1
    square = ((1 + m) * y * y - 2 * y * z + (1 + n) * z * z) / determinant
    expected = 0.5 * (np.log((1 + n) * (1 + m) / determinant) + y * y / (1 + n) + z * z / (1 + m) - square)
    sides = [(np.array([[1 / v]]), np.array([x / v])) for x, v in ((y, n), (z, m))]
    assert log_likelihood_ratio(*sides) == pytest.approx(expected, abs=1e-9)
