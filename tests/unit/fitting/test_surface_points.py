"""Surface points: the derivative, and what may not depend on the frame of the mesh."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.domain.arrays import Array
from recon_service.domain.errors import FitFailed, InvalidValue
from recon_service.domain.evidence import SurfacePoints
from recon_service.domain.pose import rotation_from_vector
from recon_service.fitting import fit_identity
from recon_service.fitting.terms.surface_points import SurfacePointTerm, aligned
from recon_service.fitting.unknowns import Layout, State
from tests.observations import builtin_model

MODEL = builtin_model()
LAYOUT = Layout.of(MODEL, [])


def surface(
    identity: Array,
    rng: np.random.Generator,
    *,
    count: int = 300,
    noise: float = 0.0,
    sd: float = 1.0,
    inflation: float = 1.0,
    effective: float = 1e9,
) -> SurfacePoints:
    """Points of the face with these coefficients, in the head frame."""
    triangles = rng.choice(np.flatnonzero(MODEL.skin), count)
    barycentric = rng.dirichlet(np.ones(3), count)
    points = MODEL.vertices.between(MODEL.triangles[triangles], barycentric).positions(identity)
    seen = points + noise * rng.standard_normal(points.shape)
    return SurfacePoints(
        "test", seen, triangles, barycentric, rng.uniform(0.5, 2.0, count) * sd, effective, inflation
    )


def state(identity: Array) -> State:
    return State(identity, np.zeros(0), np.zeros((0, MODEL.expression_modes)), ())


def test_the_gradient_is_the_one_of_finite_differences() -> None:
    rng = np.random.default_rng(3)
    here = rng.standard_normal(MODEL.identity_modes)
    term = SurfacePointTerm(surface(rng.standard_normal(60), rng, noise=1.0), MODEL, LAYOUT)
    residual, jacobian = term.linearized(state(here))

    def cost(identity: Array) -> float:
        away, _ = term.linearized(state(identity))
        return float(away @ away) / 2

    step = 1e-4
    numeric = [(cost(here + step * e) - cost(here - step * e)) / (2 * step) for e in np.eye(60)]
    np.testing.assert_allclose(-jacobian.T @ residual, numeric, rtol=1e-5, atol=1e-4)


def test_at_the_solution_the_jacobian_is_the_one_of_finite_differences() -> None:
    rng = np.random.default_rng(4)
    identity = rng.standard_normal(60)
    term = SurfacePointTerm(surface(identity, rng), MODEL, LAYOUT)
    residual, jacobian = term.linearized(state(identity))
    assert np.abs(residual).max() < 1e-9
    for k in range(0, 60, 7):
        step = np.zeros(60)
        step[k] = 1e-5
        ahead, behind = (term.linearized(state(identity + s))[0] for s in (step, -step))
        np.testing.assert_allclose(-(ahead - behind) / 2e-5, jacobian[:, k], atol=2e-6)


def test_integrating_the_similarity_out_is_the_schur_complement() -> None:
    rng = np.random.default_rng(5)
    evidence = surface(rng.standard_normal(60), rng, noise=0.5)
    term = SurfacePointTerm(evidence, MODEL, LAYOUT)
    here = np.zeros(60)
    residual, jacobian = term.linearized(state(here))
    points = MODEL.vertices.between(MODEL.triangles[evidence.triangles], evidence.barycentric)
    placed = aligned(evidence.points, points.positions(here), 1 / evidence.sd**2)
    n = len(placed)
    motion = np.zeros((n, 3, 7))
    for axis in range(3):
        motion[:, :, axis] = np.cross(np.eye(3)[axis], placed)
        motion[:, axis, 3 + axis] = 1
    motion[:, :, 6] = placed
    weight = np.repeat(1 / evidence.sd, 3)
    joint = np.concatenate([points.identity.reshape(3 * n, -1), -motion.reshape(3 * n, 7)], axis=1)
    joint = joint * weight[:, None]
    full = joint.T @ joint
    schur = full[:60, :60] - full[:60, 60:] @ np.linalg.solve(full[60:, 60:], full[60:, :60])
    np.testing.assert_allclose(jacobian.T @ jacobian, schur, rtol=1e-6, atol=1e-6 * np.abs(schur).max())
    right = joint.T @ ((placed - points.positions(here)).reshape(-1) * weight)
    reduced = right[:60] - full[:60, 60:] @ np.linalg.solve(full[60:, 60:], right[60:])
    np.testing.assert_allclose(jacobian.T @ residual, reduced, rtol=1e-6, atol=1e-6 * np.abs(reduced).max())


@settings(max_examples=15)
@given(
    st.integers(0, 2**31),
    st.floats(1e-3, 1e3),
    st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    st.lists(st.floats(-500, 500), min_size=3, max_size=3),
)
def test_the_posterior_is_the_same_under_any_similarity_of_the_mesh(
    seed: int, scale: float, turn: list[float], shift: list[float]
) -> None:
    rng = np.random.default_rng(seed)
    evidence = surface(rng.standard_normal(60), rng, noise=1.0)
    moved = scale * evidence.points @ rotation_from_vector(np.array(turn)).T + scale * np.array(shift)
    other = SurfacePoints(
        "test", moved, evidence.triangles, evidence.barycentric, evidence.sd, evidence.effective_points
    )
    first, second = (fit_identity(MODEL, (), surfaces=(e,)).posterior for e in (evidence, other))
    np.testing.assert_allclose(first.mean, second.mean, atol=1e-6)
    np.testing.assert_allclose(first.covariance, second.covariance, atol=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 2**31))
def test_noiseless_points_give_the_face_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    identity = rng.standard_normal(60)
    fit = fit_identity(MODEL, (), surfaces=(surface(identity, rng, count=900, sd=1e-4),))
    points = MODEL.vertices
    recovered = aligned(
        points.positions(fit.posterior.mean), points.positions(identity), np.ones(len(points))
    )
    distance = np.linalg.norm(recovered - points.positions(identity), axis=1)
    assert distance.max() < 0.02, "up to the size, which no such mesh tells"


@settings(max_examples=15)
@given(st.integers(0, 2**31))
def test_more_evidence_never_widens(seed: int) -> None:
    rng = np.random.default_rng(seed)
    identity = rng.standard_normal(60)
    meshes = [surface(identity, rng) for _ in range(2)]
    less = fit_identity(MODEL, (), surfaces=meshes[:1]).posterior.covariance
    more = fit_identity(MODEL, (), surfaces=meshes).posterior.covariance
    assert np.linalg.eigvalsh(less - more).min() > -1e-9


@pytest.mark.parametrize(("inflation", "effective"), [(4.0, 1e9), (1.0, 75.0)])
def test_inflation_and_fewer_effective_points_take_information_away(
    inflation: float, effective: float
) -> None:
    rng = np.random.default_rng(6)
    identity = rng.standard_normal(60)
    plain = SurfacePointTerm(surface(identity, np.random.default_rng(7)), MODEL, LAYOUT)
    weak = SurfacePointTerm(
        surface(identity, np.random.default_rng(7), inflation=inflation, effective=effective), MODEL, LAYOUT
    )
    full, quarter = (term.linearized(state(identity))[1] for term in (plain, weak))
    np.testing.assert_allclose(quarter.T @ quarter, full.T @ full / 4, rtol=1e-9, atol=1e-6)


def test_what_is_no_evidence_is_refused() -> None:
    rng = np.random.default_rng(8)
    evidence = surface(np.zeros(60), rng)
    arguments = (evidence.triangles, evidence.barycentric, evidence.sd, 100.0)
    with pytest.raises(InvalidValue):
        SurfacePoints("test", np.full_like(evidence.points, np.nan), *arguments)
    with pytest.raises(InvalidValue):
        SurfacePoints("test", evidence.points, *arguments, 0.5)
    with pytest.raises(InvalidValue):
        fit_identity(MODEL, ())
    with pytest.raises(InvalidValue, match="triangle"):
        SurfacePointTerm(
            SurfacePoints("test", evidence.points, evidence.triangles + 10**6, *arguments[1:]), MODEL, LAYOUT
        )
    flat = SurfacePoints("test", np.zeros_like(evidence.points), *arguments)
    with pytest.raises(FitFailed):
        fit_identity(MODEL, (), surfaces=(flat,))
