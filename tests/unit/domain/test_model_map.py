"""A posterior through another model's surface: exact where nothing is lost, and honest about what is."""

from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue, ModelMismatch
from recon_service.domain.model_map import PosteriorMap
from recon_service.domain.morphable_model import LinearPoints
from recon_service.domain.posterior import IdentityPosterior

POINTS, MODES = 60, 6


def points(rng: np.random.Generator, modes: int = MODES) -> LinearPoints:
    mean = rng.normal(size=(POINTS, 3)) * [70.0, 90.0, 40.0]
    basis = rng.normal(size=(POINTS, 3, modes)) * 3.0
    return LinearPoints(mean, basis, np.zeros((POINTS, 3, 1)), np.tile([0.0, 0.0, 1.0], (POINTS, 1)))


def with_basis(like: LinearPoints, basis: Array, mean: Array | None = None) -> LinearPoints:
    return LinearPoints(like.mean if mean is None else mean, basis, like.expression, like.normals)


def observed(rng: np.random.Generator, space: str, truth: Array, *, sd: float = 0.4) -> IdentityPosterior:
    """What a noisy look at coefficients leaves."""
    information = np.eye(len(truth)) / sd**2
    seen = truth + sd * rng.normal(size=len(truth))
    return IdentityPosterior.from_evidence(space, information, information @ seen)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_a_model_to_itself_changes_nothing(rng: np.random.Generator) -> None:
    old = points(rng)
    posterior = observed(rng, "old", rng.normal(size=MODES))
    mapped = PosteriorMap.between("old", old, "new", old).apply(posterior)
    np.testing.assert_allclose(mapped.mean, posterior.mean, atol=1e-8)
    np.testing.assert_allclose(mapped.covariance, posterior.covariance, atol=1e-8)
    assert mapped.space == "new"


def test_turned_coefficients_moved_and_scaled_frames_are_seen_through(rng: np.random.Generator) -> None:
    """The same faces with other axes, in another frame and in meters."""
    old = points(rng)
    turn, _ = np.linalg.qr(rng.normal(size=(MODES, MODES)))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    new = with_basis(
        old,
        0.001 * np.einsum("ij,njk,kl->nil", rotation, old.identity, turn),
        0.001 * old.mean @ rotation.T + [0.1, 0.2, 0.3],
    )
    posterior = observed(rng, "old", rng.normal(size=MODES))
    there = PosteriorMap.between("old", old, "new", new)
    back = PosteriorMap.between("new", new, "old", old)
    mapped = there.apply(posterior)
    np.testing.assert_allclose(mapped.mean, turn.T @ posterior.mean, atol=1e-6)
    np.testing.assert_allclose(mapped.covariance, turn.T @ posterior.covariance @ turn, atol=1e-6)
    again = back.apply(mapped)
    np.testing.assert_allclose(again.mean, posterior.mean, atol=1e-6)
    np.testing.assert_allclose(again.covariance, posterior.covariance, atol=1e-6)


def test_what_the_old_model_cannot_say_keeps_the_width_of_the_prior(rng: np.random.Generator) -> None:
    new = points(rng)
    old = with_basis(new, new.identity[:, :, :3])
    posterior = observed(rng, "old", rng.normal(size=3), sd=0.05)
    mapped = PosteriorMap.between("old", old, "new", new).apply(posterior)
    widths = np.linalg.eigvalsh(mapped.covariance)
    assert (widths[-3:] > 0.9).all(), "three directions were never observed"
    assert (widths[:3] < 0.2).all()


def test_the_mapped_uncertainty_is_honest(rng: np.random.Generator) -> None:
    """A new model with fewer modes: the distance to the truth is what the covariance says, on average;
    without the cost of the detour it would be many times that.
    """
    old = points(rng)
    new = with_basis(old, old.identity[:, :, :4])
    detour = PosteriorMap.between("old", old, "new", new)
    free = PosteriorMap("old", "new", detour.linear, detour.offset, np.zeros_like(detour.cost))
    squared: dict[str, list[float]] = {"with": [], "without": []}
    # Landmarks tell mixtures of modes apart, not modes: what one of them owes to a lost mode is the
    # detour's cost.
    mixed = rng.normal(size=(MODES, MODES))
    information = 4.0 * mixed @ mixed.T
    root = np.linalg.cholesky(np.linalg.inv(information))
    for _ in range(400):
        truth = rng.normal(size=MODES)
        seen = truth + root @ rng.normal(size=MODES)
        posterior = IdentityPosterior.from_evidence("old", information, information @ seen)
        for name, chosen in (("with", detour), ("without", free)):
            mapped = chosen.apply(posterior)
            error = mapped.mean - truth[:4]
            squared[name].append(float(error @ np.linalg.solve(mapped.covariance, error)) / 4)
    assert 0.8 < np.mean(squared["with"]) < 1.2
    assert np.mean(squared["without"]) > 2.0


def test_a_wider_posterior_never_gets_narrower_by_the_detour(rng: np.random.Generator) -> None:
    old, other = points(rng), points(rng)
    new = with_basis(old, old.identity + 0.5 * other.identity)
    detour = PosteriorMap.between("old", old, "new", new)
    truth = rng.normal(size=MODES)
    sharp, dull = (detour.apply(observed(rng, "old", truth, sd=sd)).covariance for sd in (0.1, 1.0))
    assert (np.linalg.eigvalsh(dull - sharp) > -1e-9).all()
    assert (np.linalg.eigvalsh(np.eye(MODES) - dull) > -1e-9).all(), "the prior is part of it"


def test_what_does_not_fit_is_refused(rng: np.random.Generator) -> None:
    old = points(rng)
    with pytest.raises(InvalidValue):
        PosteriorMap.between("old", old, "new", old.take(np.arange(10)))
    with pytest.raises(ModelMismatch) as caught:
        PosteriorMap.between("old", old, "new", old).apply(IdentityPosterior.prior("third", MODES))
    assert caught.value.next_step
