"""Steps on the way are taken in single precision: what that costs, and where it cannot be solved."""

from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.errors import FitFailed
from recon_service.domain.evidence import Capture
from recon_service.domain.fit import Fit
from recon_service.fitting import fit_identity, solver
from recon_service.fitting.normal_equations import NormalEquations
from recon_service.fitting.terms.term import TermReport
from tests.observations import Person, builtin_model, landmark_model, landmark_noise, pose, seen_by

MODEL = builtin_model()


def pictures(seed: int) -> list[Capture]:
    rng = np.random.default_rng(seed)
    person, seen = Person.drawn(rng), landmark_model()
    return [
        seen_by(person, pose(yaw), noise_mm=noise, log_focal_sd=0.1)
        for yaw, noise in zip((0.0, 15.0, -15.0), landmark_noise(seen, 3, rng), strict=True)
    ]


def fitted(captures: list[Capture]) -> Fit:
    return fit_identity(MODEL, captures, landmark_model=landmark_model())


@pytest.mark.parametrize("seed", range(4))
def test_a_fit_is_what_it_is_in_double_precision(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a ten-thousandth of a standard deviation, though the focal length is nearly free."""
    found = fitted(pictures(seed))
    monkeypatch.setattr(solver, "ROUGH", np.float64)
    wanted = fitted(pictures(seed))
    sd = np.sqrt(np.diag(wanted.posterior.covariance))
    assert np.abs((found.posterior.mean - wanted.posterior.mean) / sd).max() < 1e-4
    np.testing.assert_allclose(found.posterior.covariance, wanted.posterior.covariance, atol=1e-5)
    for one, other in zip(found.captures, wanted.captures, strict=True):
        np.testing.assert_allclose(one.pose.rotation, other.pose.rotation, atol=1e-5)
        np.testing.assert_allclose(one.pose.translation, other.pose.translation, atol=0.01)


class Fragile:
    """Evidence that determines the fit only in the given precision."""

    capture = None

    def __init__(self, *enough: type) -> None:
        self._enough = enough
        self.asked: list[type] = []

    def accumulate(self, state: object, equations: NormalEquations, *, iteration: int) -> TermReport:
        self.asked.append(equations.precision)
        if equations.precision not in self._enough:
            equations.matrix[0, 0] = -1.0
        else:
            equations.matrix[np.diag_indices(len(equations.matrix))] += 1.0
        return TermReport(0.0, 0, 0)


@pytest.mark.parametrize("rough", [True, False])
def test_what_single_precision_cannot_solve_is_solved_in_double(rough: bool) -> None:
    captures = pictures(0)
    layout = solver.Layout.of(MODEL, captures)
    state = solver.State(
        np.zeros(layout.identity_modes), np.zeros(1), np.zeros((3, layout.expression_modes)), (pose(),) * 3
    )
    fragile = Fragile(np.float64)
    linearize = solver.partial(solver._linearize, [fragile], state, layout, 0, 1.0)
    step, _ = solver._step(linearize, identity_free=True, rough=rough)
    assert np.isfinite(step).all()
    assert fragile.asked == ([np.float32, np.float64] if rough else [np.float64])
    hopeless = solver.partial(solver._linearize, [Fragile()], state, layout, 0, 1.0)
    with pytest.raises(FitFailed):
        solver._step(hopeless, identity_free=True, rough=rough)
