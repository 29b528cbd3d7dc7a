"""Each term's Jacobian against central differences of its residual.

With residuals far below the noise, robust weights are constant to second order; then the vector of the normal
equations is J'r, and moving the state by h along column k changes it by -h J'J[:, k].
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.evidence import Capture, DepthSurfaceEvidence, LandmarkEvidence
from recon_service.fitting.normal_equations import NormalEquations
from recon_service.fitting.terms.depth_surface import DepthSurfaceTerm
from recon_service.fitting.terms.landmarks import LandmarkTerm
from recon_service.fitting.terms.term import Term
from recon_service.fitting.unknowns import Layout, State
from tests.observations import Person, builtin_model, depth_of_plane, landmark_model, pose, seen_by

STEP = 1e-4
FINAL = 20
"""An iteration late enough for the gates to have settled."""


def equations_at(term: Term, state: State, layout: Layout) -> NormalEquations:
    equations = NormalEquations(layout)
    term.accumulate(state, equations, iteration=FINAL)
    return equations


def assert_consistent(term: Term, state: State, layout: Layout, *, tolerance: float) -> None:
    matrix = equations_at(term, state, layout).matrix
    scale = np.sqrt(np.diag(matrix))
    assert (scale[layout.columns(term.capture)] > 0).all(), "every unknown of the capture has a say"
    differences = np.zeros_like(matrix)
    for k in range(layout.size):
        # Every column is moved by the same share of the noise.
        step = np.zeros(layout.size)
        step[k] = STEP / max(scale[k], 1e-9)
        ahead = equations_at(term, state.moved(step, layout), layout).vector
        behind = equations_at(term, state.moved(-step, layout), layout).vector
        differences[:, k] = -(ahead - behind) / (2 * step[k])
    normal = np.outer(np.maximum(scale, 1e-9), np.maximum(scale, 1e-9))
    np.testing.assert_allclose(differences / normal, matrix / normal, atol=tolerance)


def truth(rng: np.random.Generator, log_focals: np.ndarray) -> tuple[Person, State]:
    person = Person.drawn(rng)
    at = pose(float(rng.normal(0, 12)), float(rng.normal(0, 8)), float(rng.normal(0, 20)))
    return person, State(person.identity, log_focals, person.expression[None], (at,))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("independent_sd", [None, 2.0])
@pytest.mark.parametrize("distorted", [False, True])
def test_landmarks(seed: int, independent_sd: float | None, distorted: bool) -> None:
    person, state = truth(np.random.default_rng(seed), np.array([0.0]))
    camera = PinholeCamera(
        960, 1280, 1000.0, 1040.0, 470.0, 650.0, (0.05, -0.02, 0.001, 0.0, 0.0) if distorted else (0.0,) * 5
    )
    shown = seen_by(person, state.poses[0], camera=camera, log_focal_sd=0.1)
    (evidence,) = shown.evidence
    assert isinstance(evidence, LandmarkEvidence)
    evidence = replace(evidence, independent_sd=independent_sd)
    layout = Layout.of(builtin_model(), [shown])
    term = LandmarkTerm(0, shown, evidence, landmark_model(), layout, start=state.poses[0], images=1)
    report = term.accumulate(state, NormalEquations(layout), iteration=FINAL)
    assert report.squared < 1e-6, "at the truth, nothing is left"
    assert_consistent(term, state, layout, tolerance=2e-4)


def test_landmarks_of_a_camera_that_is_known_do_not_touch_the_focal_length() -> None:
    person, state = truth(np.random.default_rng(5), np.array([]))
    shown = seen_by(person, state.poses[0])
    layout = Layout.of(builtin_model(), [shown])
    term = LandmarkTerm(
        0,
        shown,
        LandmarkEvidence(shown.evidence[0].landmarks),
        landmark_model(),
        layout,
        start=state.poses[0],
        images=1,
    )  # type: ignore[union-attr]
    assert layout.size == 60 + 25 + 6
    assert_consistent(term, state, layout, tolerance=2e-4)


def test_evidence_that_counts_half_has_half_the_information() -> None:
    person, state = truth(np.random.default_rng(6), np.array([]))
    shown = seen_by(person, state.poses[0])
    (evidence,) = shown.evidence
    assert isinstance(evidence, LandmarkEvidence)
    layout = Layout.of(builtin_model(), [shown])
    matrices = [
        equations_at(
            LandmarkTerm(
                0,
                shown,
                replace(evidence, information=share),
                landmark_model(),
                layout,
                start=state.poses[0],
                images=1,
            ),
            state,
            layout,
        ).matrix
        for share in (1.0, 0.5)
    ]
    np.testing.assert_allclose(matrices[1], 0.5 * matrices[0], rtol=1e-9, atol=1e-9 * matrices[0].max())


def flat_face(normal: np.ndarray) -> tuple[Term, State, Layout]:
    """A model whose points lie on a plane and a depth map of that plane: there the projective association is
    exact, because the measured point slides in the plane and its distance along the normal does not change.
    """
    model = builtin_model()
    rng = np.random.default_rng(9)
    points = model.vertices
    flat = replace(
        points,
        mean=np.column_stack([points.mean[:, :2], np.zeros(len(points))]),
        identity=points.identity.copy(),
        normals=np.tile([0.0, 0.0, 1.0], (len(points), 1)),
    )
    small = replace(model, vertices=flat)
    camera = PinholeCamera(400, 400, 500.0, 500.0, 200.0, 200.0)
    at = pose(15.0, -8.0, 5.0)
    turned = at.rotation @ [0.0, 0.0, 1.0]
    depth = depth_of_plane(camera, turned, float(turned @ at.translation))
    capture = Capture("x", camera, (DepthSurfaceEvidence(depth, 1.0, 1e9),), start=at)
    layout = Layout.of(small, [capture])
    evidence = capture.evidence[0]
    assert isinstance(evidence, DepthSurfaceEvidence)
    state = State(1e-6 * rng.standard_normal(60), np.zeros(0), np.zeros((1, 25)), (at,))
    return DepthSurfaceTerm(0, capture, evidence, small, layout), state, layout


def test_the_depth_surface() -> None:
    term, state, layout = flat_face(np.array([0.0, 0.0, 1.0]))
    report = term.accumulate(state, NormalEquations(layout), iteration=FINAL)
    assert report.residual_mm is not None
    assert report.residual_mm < 2e-3
    matrix = equations_at(term, state, layout).matrix
    scale = np.sqrt(np.diag(matrix))
    seen = scale > 1e-6 * scale.max()  # a plane does not feel sliding in it, nor turning about its normal
    assert seen[:60].all()
    for k in np.flatnonzero(seen):
        step = np.zeros(layout.size)
        step[k] = 0.05 / scale[k]
        ahead = equations_at(term, state.moved(step, layout), layout).vector
        behind = equations_at(term, state.moved(-step, layout), layout).vector
        difference = -(ahead - behind) / (2 * step[k])
        np.testing.assert_allclose(
            (difference / scale[k])[seen] / scale[seen],
            (matrix[:, k] / scale[k])[seen] / scale[seen],
            atol=2e-2,
        )


def test_nothing_measured_adds_nothing() -> None:
    term, state, layout = flat_face(np.array([0.0, 0.0, 1.0]))
    capture = Capture(
        "x",
        PinholeCamera(400, 400, 500.0, 500.0, 200.0, 200.0),
        (DepthSurfaceEvidence(np.zeros((400, 400)), 1.0, 800.0),),
        start=state.poses[0],
    )
    evidence = capture.evidence[0]
    assert isinstance(evidence, DepthSurfaceEvidence)
    empty = DepthSurfaceTerm(0, capture, evidence, builtin_model(), layout)
    equations = NormalEquations(layout)
    report = empty.accumulate(state, equations, iteration=0)
    assert (report.points, report.count, report.residual_mm) == (0, 0, None)
    assert not equations.matrix.any()
    assert term.capture == 0
