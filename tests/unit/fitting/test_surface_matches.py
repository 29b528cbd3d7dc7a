"""Surface matches: the derivative, the sliding point, and that matches alone recover a shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.evidence import Capture, SurfaceMatches
from recon_service.fitting import fit_identity
from recon_service.fitting.terms.surface_matches import SurfaceMatchTerm
from recon_service.fitting.unknowns import Layout, State
from tests.observations import CAMERA, Person, builtin_model, landmark_model, pose, seen_by

MODEL = builtin_model()
OTHER_CAMERA = replace(CAMERA, fx=900.0, fy=910.0)


def cameras(state: State, layout: Layout, captures: list[Capture]) -> list[PinholeCamera]:
    return [c.camera.scaled_focal(state.focal_factor(layout, i)) for i, c in enumerate(captures)]


def matches_of(
    state: State,
    layout: Layout,
    captures: list[Capture],
    count: int,
    rng: np.random.Generator,
    *,
    noise: float = 0.0,
) -> SurfaceMatches:
    """True matches of the face in ``state`` between the first two captures."""
    facing = MODEL.vertices.normals[MODEL.triangles].mean(axis=1)[:, 2]
    triangles = rng.choice(np.flatnonzero(MODEL.skin & (facing > 0.6)), count)
    barycentric = rng.dirichlet(np.ones(3), count)
    points = MODEL.vertices.between(MODEL.triangles[triangles], barycentric)
    pixels = [
        camera.project(state.poses[k].apply(points.positions(state.identity, state.expressions[k])))
        for k, camera in enumerate(cameras(state, layout, captures))
    ]
    jitter = noise * rng.standard_normal((count, 2))
    return SurfaceMatches(0, 1, triangles, barycentric, pixels[0], pixels[1] + jitter, 1.0, 1e6)


@pytest.mark.parametrize("focal", ["known", "shared", "of each"])
def test_the_derivative_is_the_one_of_finite_differences(focal: str) -> None:
    rng = np.random.default_rng(1)
    person = Person.drawn(rng)
    sd = 0.0 if focal == "known" else 0.05
    second = OTHER_CAMERA if focal == "of each" else CAMERA
    captures = [
        seen_by(person, pose(yaw), camera=camera, log_focal_sd=sd)
        for yaw, camera in ((0.0, CAMERA), (20.0, second))
    ]
    layout = Layout.of(MODEL, captures)
    state = State(
        0.5 * person.identity,
        np.full(len(layout.focal_sds), 0.03),
        0.3 * rng.standard_normal((2, 25)),
        (pose(2.0), pose(17.0, 3.0)),
    )
    matches = matches_of(state, layout, captures, 40, rng)
    term = SurfaceMatchTerm((captures[0], captures[1]), matches, MODEL, layout)
    residual, jacobian = term.linearized(state)
    assert np.abs(residual).max() < 1e-9, "true matches leave nothing"
    assert jacobian.shape[2] == layout.size
    columns = np.concatenate(
        [
            np.r_[layout.identity],
            np.r_[layout.expression(0)],
            np.r_[layout.pose(0)],
            np.r_[layout.expression(1)],
            np.r_[layout.pose(1)],
            np.arange(60, 60 + len(layout.focal_sds)),
        ]
    )
    for k, column in enumerate(columns):
        step = np.zeros(layout.size)
        step[column] = 1e-5
        ahead, behind = (
            term.linearized(state.moved(step, layout))[0],
            term.linearized(state.moved(-step, layout))[0],
        )
        measured = -(ahead - behind) / 2e-5
        np.testing.assert_allclose(
            jacobian[:, :, k], measured, atol=1e-6 * max(1.0, float(np.abs(measured).max()))
        )


def test_matches_find_what_landmarks_do_not_tell() -> None:
    """From a landmark fit that trusts the average, true matches lead most of the way to the truth."""
    rng = np.random.default_rng(4)
    person = Person(rng.standard_normal(60), np.zeros(25))
    captures = [seen_by(person, pose(yaw), expression=np.zeros(25)) for yaw in (0.0, 25.0)]
    layout = Layout.of(MODEL, captures)
    truth = State(person.identity, np.zeros(0), np.zeros((2, 25)), (pose(0.0), pose(25.0)))
    weak = [replace(c, evidence=(replace(c.evidence[0], information=0.05),)) for c in captures]
    start = fit_identity(MODEL, weak, landmark_model=landmark_model())
    matches = [matches_of(truth, layout, captures, 600, rng, noise=0.05)]
    fit = fit_identity(MODEL, weak, landmark_model=landmark_model(), matches=matches, start=start)

    def off_by(identity: np.ndarray) -> float:
        shape = MODEL.vertices.take(MODEL.surface)
        return float(np.sqrt(np.mean((shape.positions(identity) - shape.positions(person.identity)) ** 2)))

    assert off_by(fit.posterior.mean) < 0.6 * off_by(start.posterior.mean)
    assert np.trace(fit.posterior.covariance) < np.trace(start.posterior.covariance)


def test_wild_matches_have_no_say() -> None:
    rng = np.random.default_rng(5)
    person = Person(rng.standard_normal(60), np.zeros(25))
    captures = [seen_by(person, pose(yaw), expression=np.zeros(25)) for yaw in (0.0, 25.0)]
    layout = Layout.of(MODEL, captures)
    truth = State(person.identity, np.zeros(0), np.zeros((2, 25)), (pose(0.0), pose(25.0)))
    good = matches_of(truth, layout, captures, 300, rng)
    moved = good.second_pixels.copy()
    moved[:60] += 40.0
    spoiled = replace(good, second_pixels=moved)
    start = fit_identity(MODEL, captures, landmark_model=landmark_model())
    fits = [
        fit_identity(
            MODEL, captures, landmark_model=landmark_model(), matches=[m], start=start
        ).posterior.mean
        for m in (replace(good, effective_matches=240.0), replace(spoiled, effective_matches=300.0))
    ]
    assert np.linalg.norm(fits[0] - fits[1]) < 0.25 * np.linalg.norm(fits[0])


def test_a_match_needs_two_captures() -> None:
    one = np.zeros((1, 2))
    with pytest.raises(InvalidValue):
        SurfaceMatches(0, 0, np.zeros(1, dtype=np.int64), np.ones((1, 3)) / 3, one, one, 1.0, 1.0)
