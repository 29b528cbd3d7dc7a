"""What must hold for the identity posterior of any face, pose and order of pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.evidence import Capture, LandmarkEvidence
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.posterior import IdentityPosterior
from recon_service.fitting import fit_identity
from tests.observations import (
    CAMERA,
    Person,
    builtin_model,
    independent_images_model,
    landmark_model,
    landmark_noise,
    pose,
    seen_by,
)

seeds = st.integers(0, 2**32 - 1)


def same(one: IdentityPosterior, other: IdentityPosterior, tolerance: float) -> None:
    np.testing.assert_allclose(one.mean, other.mean, atol=tolerance)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=tolerance)


def fitted(captures: list[Capture]) -> IdentityPosterior:
    return fit_identity(builtin_model(), captures, landmark_model=landmark_model()).posterior


def turned(capture: Capture, angle: float) -> Capture:
    """The same picture with the camera turned about its optical axis."""
    (evidence,) = capture.evidence
    assert isinstance(evidence, LandmarkEvidence)
    center = np.array([capture.camera.cx, capture.camera.cy])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (evidence.landmarks.points - center) @ turn.T + center
    return replace(capture, evidence=(LandmarkEvidence(replace(evidence.landmarks, points=points)),))


@given(seed=seeds, angle=st.floats(-3.1, 3.1), yaw=st.floats(-30, 30))
@settings(max_examples=15)
def test_turning_the_camera_changes_nothing(seed: int, angle: float, yaw: float) -> None:
    rng = np.random.default_rng(seed)
    (noise,) = landmark_noise(landmark_model(), 1, rng)
    picture = seen_by(Person.drawn(rng), pose(yaw), noise_mm=noise)
    same(fitted([picture]), fitted([turned(picture, angle)]), 2e-3)


@given(seed=seeds)
@settings(max_examples=10)
def test_moving_head_and_camera_together_changes_nothing(seed: int) -> None:
    """A picture's resolution, and where in the frame the principal point lies, say nothing about the
    person.
    """
    rng = np.random.default_rng(seed)
    person, (noise,) = Person.drawn(rng), landmark_noise(landmark_model(), 1, rng)
    small = PinholeCamera(width=480, height=640, fx=500.0, fy=500.0, cx=200.0, cy=300.0)
    same(
        fitted([seen_by(person, pose(10.0), noise_mm=noise)]),
        fitted([seen_by(person, pose(10.0), noise_mm=noise, camera=small)]),
        1e-3,  # of a standard deviation: steps on the way are in single precision
    )


@given(seed=seeds, order=st.permutations(range(3)))
@settings(max_examples=12)
def test_the_order_of_the_pictures_changes_nothing(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    person, noise = Person.drawn(rng), landmark_noise(landmark_model(), 3, rng)
    pictures = [
        seen_by(person, pose(yaw), noise_mm=n, log_focal_sd=0.05)
        for yaw, n in zip((-25.0, 0.0, 25.0), noise, strict=True)
    ]
    same(fitted(pictures), fitted([pictures[i] for i in order]), 1e-4)


@given(seed=seeds)
@settings(max_examples=12)
def test_two_halves_of_the_evidence_give_the_posterior_of_the_whole(seed: int) -> None:
    """Errors are independent between the pictures here; what is left is the linearization at another
    point.
    """
    rng = np.random.default_rng(seed)
    model, person = independent_images_model(), Person.drawn(rng)
    pictures = [
        seen_by(person, pose(yaw), noise_mm=landmark_noise(model, 1, rng)[0], model=model)
        for yaw in (-20.0, 20.0, -10.0, 10.0)
    ]
    whole, first, second = (
        fit_identity(builtin_model(), part, landmark_model=model).posterior
        for part in (pictures, pictures[:2], pictures[2:])
    )
    halves = first.fused_with(second)
    difference = halves.mean - whole.mean
    # Far below the posterior's own width: root mean square over modes in units of it.
    assert np.sqrt(np.mean(difference**2 / np.diag(whole.covariance))) < 0.35
    np.testing.assert_allclose(np.diag(halves.covariance), np.diag(whole.covariance), rtol=0.25)


@pytest.mark.parametrize("yaws", [(0.0,), (-25.0, 0.0, 25.0)])
def test_credible_intervals_cover_what_they_say(yaws: tuple[float, ...]) -> None:
    """95 % intervals of faces drawn from the model, seen with the assumed noise, cover 93 to 97 %."""
    rng, model, covered = np.random.default_rng(7), landmark_model(), []
    for _ in range(150):
        person, noise = Person.drawn(rng), landmark_noise(model, len(yaws), rng)
        pictures = [
            seen_by(
                person,
                pose(yaw + rng.normal(0, 5), rng.normal(0, 8), rng.normal(0, 8)),
                noise_mm=n,
                expression=rng.standard_normal(builtin_model().expression_modes),
            )
            for yaw, n in zip(yaws, noise, strict=True)
        ]
        posterior = fitted(pictures)
        sd = np.sqrt(np.diag(posterior.covariance))
        covered.append(np.abs(posterior.mean - person.identity) < 1.96 * sd)
    assert 0.93 <= np.mean(covered) <= 0.97


@given(seed=seeds)
@settings(max_examples=10)
def test_more_pictures_never_widen_the_posterior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, person = independent_images_model(), Person.drawn(rng)
    pictures = [seen_by(person, pose(yaw), model=model) for yaw in (-25.0, 0.0, 25.0)]
    widths = [
        np.linalg.slogdet(
            fit_identity(builtin_model(), pictures[:n], landmark_model=model).posterior.covariance
        )[1]
        for n in (1, 2, 3)
    ]
    assert widths[0] > widths[1] > widths[2]


def test_an_unknown_focal_length_is_found_and_costs_certainty() -> None:
    person = Person(np.zeros(60), np.zeros(25))
    near = pose(distance=350.0)
    stated = replace(CAMERA, fx=850.0, fy=850.0)
    true = seen_by(person, near)
    wrong = replace(true, camera=stated, log_focal_sd=0.25)
    fit = fit_identity(builtin_model(), [wrong], landmark_model=landmark_model())
    known = fit_identity(builtin_model(), [true], landmark_model=landmark_model())
    assert abs(fit.captures[0].camera.fx - 1000) < abs(850 - 1000)
    assert np.trace(fit.posterior.covariance) > np.trace(known.posterior.covariance)


def test_a_few_wild_landmarks_do_little_harm() -> None:
    rng = np.random.default_rng(3)
    person, (noise,) = Person.drawn(rng), landmark_noise(landmark_model(), 1, rng)
    wild = noise.copy()
    wild[rng.choice(468, 12, replace=False)] += 60.0
    clean, spoiled = (fitted([seen_by(person, pose(), noise_mm=n)]) for n in (noise, wild))
    assert np.linalg.norm(spoiled.mean - clean.mean) < 0.35 * np.linalg.norm(clean.mean)


def test_landmarks_of_another_scheme_are_refused_with_both_names() -> None:
    from recon_service.domain.errors import ModelMismatch

    landmarks = FaceLandmarks(scheme="ibug68", points=np.zeros((68, 2)), presence=1.0)
    capture = Capture("x", CAMERA, (LandmarkEvidence(landmarks),))
    with pytest.raises(ModelMismatch, match=r"ibug68.*facemesh468"):
        fit_identity(builtin_model(), [capture], landmark_model=landmark_model())
