"""What must hold for every Gaussian posterior over identity coefficients."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recon_service.domain.posterior import IdentityPosterior
from tests.observations import random_posterior

seeds = st.integers(0, 2**32 - 1)
modes = st.integers(1, 12)


def same(one: IdentityPosterior, other: IdentityPosterior) -> None:
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-7)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-7)


@given(seed=seeds, modes=modes)
def test_evidence_and_posterior_are_two_forms_of_the_same(seed: int, modes: int) -> None:
    posterior = random_posterior(np.random.default_rng(seed), modes)
    same(IdentityPosterior.from_evidence(posterior.space, *posterior.evidence()), posterior)


@given(seed=seeds, modes=modes)
def test_the_posterior_solves_the_regularized_least_squares_problem(seed: int, modes: int) -> None:
    """y = A a + noise of unit variance, a ~ N(0, I): ridge regression gives the mean."""
    rng = np.random.default_rng(seed)
    a, y = rng.standard_normal((2 * modes, modes)), rng.standard_normal(2 * modes)
    posterior = IdentityPosterior.from_evidence("x", a.T @ a, a.T @ y)
    stacked = np.linalg.lstsq(np.vstack([a, np.eye(modes)]), np.append(y, np.zeros(modes)), rcond=None)[0]
    np.testing.assert_allclose(posterior.mean, stacked, atol=1e-8)


@given(seed=seeds, modes=modes)
def test_fusing_is_commutative_associative_and_the_prior_adds_nothing(seed: int, modes: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = (random_posterior(rng, modes) for _ in range(3))
    same(a.fused_with(b), b.fused_with(a))
    same(a.fused_with(b).fused_with(c), a.fused_with(b.fused_with(c)))
    same(a.fused_with(IdentityPosterior.prior(a.space, modes)), a)


@given(seed=seeds, modes=modes)
def test_fusing_is_the_least_squares_fit_of_both_observations(seed: int, modes: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, 2 * modes, modes))
    y, z = rng.standard_normal((2, 2 * modes))
    apart = [IdentityPosterior.from_evidence("x", m.T @ m, m.T @ v) for m, v in ((a, y), (b, z))]
    together, values = np.vstack([a, b]), np.append(y, z)
    whole = IdentityPosterior.from_evidence("x", together.T @ together, together.T @ values)
    same(apart[0].fused_with(apart[1]), whole)


@given(seed=seeds, modes=modes)
def test_evidence_never_widens(seed: int, modes: int) -> None:
    """The covariance of both minus the covariance of one has no positive direction."""
    rng = np.random.default_rng(seed)
    a, b = (random_posterior(rng, modes) for _ in range(2))
    difference = a.fused_with(b).covariance - a.covariance
    assert np.linalg.eigvalsh(difference).max() <= 1e-9
