from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue, ModelMismatch
from recon_service.domain.posterior import IdentityPosterior
from tests.observations import random_posterior


def test_the_prior_says_nothing() -> None:
    information, vector = IdentityPosterior.prior("x", 4).evidence()
    np.testing.assert_allclose(information, 0.0, atol=1e-12)
    np.testing.assert_allclose(vector, 0.0)


def test_one_coefficient_measured_with_unit_noise_halves() -> None:
    posterior = IdentityPosterior.from_evidence("x", np.eye(1), np.array([3.0]))
    assert posterior.mean[0] == pytest.approx(1.5)
    assert posterior.covariance[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize(("space", "modes"), [("other/6", 6), ("test/1", 5)])
def test_posteriors_of_two_spaces_are_kept_apart_with_both_names(space: str, modes: int) -> None:
    rng = np.random.default_rng(2)
    one, other = random_posterior(rng), random_posterior(rng, modes, space=space)
    with pytest.raises(ModelMismatch, match=rf"test/1 \(6\).*{space} \({modes}\)"):
        one.fused_with(other)


@pytest.mark.parametrize(
    ("mean", "covariance"),
    [
        (np.zeros(2), np.diag([1.0, 0.0])),
        (np.zeros(2), np.diag([1.0, -0.1])),
        (np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]])),
        (np.zeros(2), np.array([[1.0, 0.3], [0.0, 1.0]])),
        (np.zeros(2), np.full((2, 2), np.nan)),
        (np.array([0.0, np.inf]), np.eye(2)),
        (np.zeros(3), np.eye(2)),
    ],
    ids=["singular", "negative", "indefinite", "asymmetric", "nan", "infinite mean", "shape"],
)
def test_what_is_no_gaussian_is_refused(mean: np.ndarray, covariance: np.ndarray) -> None:
    with pytest.raises(InvalidValue):
        IdentityPosterior("x", mean, covariance)
