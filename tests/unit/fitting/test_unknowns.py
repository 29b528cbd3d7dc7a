from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

from recon_service.domain.evidence import Capture
from recon_service.domain.pose import skew
from recon_service.fitting.normal_equations import NormalEquations
from recon_service.fitting.unknowns import Layout, State
from tests.observations import Person, builtin_model, pose, seen_by


def captures(sds: tuple[float, ...]) -> list[Capture]:
    shown = seen_by(Person(np.zeros(60), np.zeros(25)), pose())
    return [replace(shown, log_focal_sd=sd) for sd in sds]


@pytest.mark.parametrize("sds", [(0.0,), (0.25,), (0.05, 0.0, 0.25, 0.05), (0.1, 0.1, 0.1)])
def test_columns_are_disjoint_and_complete(sds: tuple[float, ...]) -> None:
    layout = Layout.of(builtin_model(), captures(sds))
    own = [
        [*range(layout.size)[layout.expression(i)], *range(layout.size)[layout.pose(i)]]
        for i in range(len(sds))
    ]
    focal = range(layout.identity_modes, layout.identity_modes + len(layout.focal_sds))
    every = [*range(layout.size)[layout.identity], *focal, *(c for part in own for c in part)]
    assert sorted(every) == list(range(layout.size))
    for i, sd in enumerate(sds):
        shared = [*range(layout.identity_modes)]
        unknown = [] if sd == 0 else [layout.focal_of[i]]
        assert layout.columns(i).tolist() == [*shared, *own[i], *unknown]


def test_pictures_of_one_camera_share_a_focal_length() -> None:
    layout = Layout.of(builtin_model(), captures((0.05, 0.0, 0.25, 0.05)))
    assert layout.focal_sds == (0.05, 0.25)
    assert layout.focal_of == (60, None, 61, 60)


def test_a_state_moves_by_its_step() -> None:
    rng = np.random.default_rng(0)
    layout = Layout.of(builtin_model(), captures((0.05, 0.0)))
    state = State(
        rng.standard_normal(60), np.array([0.1]), rng.standard_normal((2, 25)), (pose(10.0), pose(-5.0, 4.0))
    )
    step = 0.1 * rng.standard_normal(layout.size)
    moved = state.moved(step, layout)
    np.testing.assert_array_equal(moved.identity, state.identity + step[:60])
    assert moved.log_focals[0] == pytest.approx(0.1 + step[60])
    assert moved.focal_factor(layout, 0) == pytest.approx(np.exp(0.1 + step[60]))
    assert moved.focal_factor(layout, 1) == 1.0
    for i in range(2):
        np.testing.assert_array_equal(moved.expressions[i], state.expressions[i] + step[layout.expression(i)])
        turn, shift = np.split(step[layout.pose(i)], 2)
        np.testing.assert_allclose(
            moved.poses[i].rotation, expm(skew(turn)) @ state.poses[i].rotation, atol=1e-9
        )
        np.testing.assert_allclose(moved.poses[i].translation, state.poses[i].translation + shift)


# ---- the normal equations


def filled(seed: int = 1) -> tuple[Layout, State, NormalEquations, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    layout = Layout.of(builtin_model(), captures((0.05, 0.0)))
    state = State(
        rng.standard_normal(60), np.array([0.02]), 0.5 * rng.standard_normal((2, 25)), (pose(), pose(9.0))
    )
    equations = NormalEquations(layout)
    equations.add_priors(state)
    jacobians, residuals = np.zeros((160, layout.size)), rng.standard_normal(160)
    for i in range(2):
        rows, columns = slice(80 * i, 80 * i + 80), layout.columns(i)
        jacobians[rows, columns] = rng.standard_normal((80, len(columns)))
        equations.add(columns, jacobians[rows][:, columns], residuals[rows])
    return layout, state, equations, jacobians, residuals


def test_the_identity_covariance_is_the_block_of_the_full_inverse() -> None:
    _, _, equations, _, _ = filled()
    full = np.linalg.inv(equations.matrix)
    np.testing.assert_allclose(equations.identity_covariance(), full[:60, :60], atol=1e-8)


def test_the_step_is_the_least_squares_solution_with_priors() -> None:
    layout, state, equations, jacobians, residuals = filled()
    root, target = np.zeros(layout.size), np.zeros(layout.size)
    root[layout.identity], target[layout.identity] = 1.0, -state.identity
    root[60], target[60] = 1 / 0.05, -state.log_focals[0] / 0.05
    for i in range(2):
        root[layout.expression(i)], target[layout.expression(i)] = 1.0, -state.expressions[i]
    expected = np.linalg.lstsq(
        np.vstack([jacobians, np.diag(root)]), np.append(residuals, target), rcond=None
    )[0]
    np.testing.assert_allclose(equations.step(identity_free=True), expected, atol=1e-4)


def test_a_held_identity_does_not_move() -> None:
    layout, _, equations, _, _ = filled()
    step = equations.step(identity_free=False)
    np.testing.assert_array_equal(step[layout.identity], 0.0)
    assert np.abs(step[layout.pose(0)]).max() > 0
