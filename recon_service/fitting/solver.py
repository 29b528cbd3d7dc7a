"""Gauss-Newton over one shared identity and the nuisances of every capture; returns the Gaussian posterior
of the identity.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.errors import FitFailed, InvalidValue, ModelMismatch
from recon_service.domain.evidence import (
    Capture,
    DepthSurfaceEvidence,
    LandmarkEvidence,
    SurfaceMatches,
    SurfacePoints,
)
from recon_service.domain.fit import CaptureFit, Fit
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior
from recon_service.fitting.normal_equations import NormalEquations
from recon_service.fitting.start import pose_from_landmarks
from recon_service.fitting.terms.depth_surface import DepthSurfaceTerm
from recon_service.fitting.terms.landmarks import EVERY, EVERY_ON_THE_WAY, LandmarkTerm
from recon_service.fitting.terms.surface_matches import SurfaceMatchTerm
from recon_service.fitting.terms.surface_points import SurfacePointTerm
from recon_service.fitting.terms.term import Term, TermReport
from recon_service.fitting.unknowns import Layout, State

MAX_ITERATIONS = 14
LANDMARK_ITERATIONS = 8
HELD_ITERATIONS = 3
"""With depth, the identity is held while the pose is still coming in."""
ROUGH: type[np.floating[Any]] = np.float32
"""Precision of the steps whose rounding the next one mends."""
CONVERGED_STEP = 1e-3
"""Largest change of an identity coefficient (standard deviations) at which the fit has arrived."""


def fit_identity(
    model: MorphableModel,
    captures: Sequence[Capture],
    *,
    landmark_model: LandmarkModel | None = None,
    matches: Sequence[SurfaceMatches] = (),
    surfaces: Sequence[SurfacePoints] = (),
    start: Fit | None = None,
    iterations: int | None = None,
    expression_sd: float = 1.0,
    provisional: bool = False,
) -> Fit:
    """The identity posterior of the one person on all captures.

    matches: surface matches between pairs of the captures. surfaces: reconstructed neutral faces of the
    person; with them there need be no capture. start: an earlier fit of the same captures to go
    on from. iterations: Gauss-Newton steps at most (default: enough to arrive). expression_sd: standard
    deviation of the prior on expression coefficients. provisional: the fit is only a start for the next
    one: it looks at fewer landmarks, its covariance is that of the prior, and its residuals are from one step
    before the returned state.

    Every capture has its own pose and expression; captures of the same uncalibrated camera share one focal
    length. The result does not depend on the order of the captures. Raises InvalidValue without captures or
    without a start, ModelMismatch for landmarks of a scheme that the landmark model does not know,
    FitFailed when the evidence does not determine the fit.
    """
    if not captures and not surfaces:
        raise InvalidValue("a fit needs at least one capture")
    layout = Layout.of(model, captures)
    state = (
        _first_state(captures, landmark_model, layout)
        if start is None
        else _state_of(start, captures, layout)
    )
    every = EVERY_ON_THE_WAY if provisional else EVERY
    terms = _terms(model, captures, landmark_model, layout, state.poses, every=every)
    terms += [SurfaceMatchTerm((captures[m.first], captures[m.second]), m, model, layout) for m in matches]
    terms += [SurfacePointTerm(points, model, layout) for points in surfaces]
    with_depth = any(isinstance(term, DepthSurfaceTerm) for term in terms)
    held = HELD_ITERATIONS if with_depth and start is None else 0
    steps = iterations or (MAX_ITERATIONS if with_depth else LANDMARK_ITERATIONS)
    for iteration in range(steps):
        identity_free = iteration >= held
        # The next step mends the rounding of a rough one; the last one of a fit is not rough.
        rough = not with_depth and (provisional or iteration < steps - 1)
        step, reports = _step(
            partial(_linearize, terms, state, layout, iteration, expression_sd),
            identity_free=identity_free,
            rough=rough,
        )
        state = state.moved(step, layout)
        if identity_free and iteration > 5 and np.abs(step[layout.identity]).max() < CONVERGED_STEP:
            break
    covariance = np.eye(layout.identity_modes)
    if not provisional:
        # Linearized once more where the fit arrived: covariance and residuals belong to the returned state.
        equations, reports = _linearize(terms, state, layout, MAX_ITERATIONS, expression_sd)
        covariance = equations.identity_covariance()
    posterior = IdentityPosterior(model.space, state.identity, covariance)
    return Fit(posterior, _capture_fits(captures, terms, reports, state, layout))


def _first_state(captures: Sequence[Capture], landmark_model: LandmarkModel | None, layout: Layout) -> State:
    return State(
        np.zeros(layout.identity_modes),
        np.zeros(len(layout.focal_sds)),
        np.zeros((layout.captures, layout.expression_modes)),
        tuple(_start(capture, landmark_model) for capture in captures),
    )


def _state_of(fit: Fit, captures: Sequence[Capture], layout: Layout) -> State:
    if len(fit.captures) != len(captures):
        raise InvalidValue("the fit to go on from has another number of captures")
    log_focals = np.zeros(len(layout.focal_sds))
    for column, capture, fitted in zip(layout.focal_of, captures, fit.captures, strict=True):
        if column is not None:
            log_focals[column - layout.identity_modes] = np.log(fitted.camera.fx / capture.camera.fx)
    return State(
        fit.posterior.mean,
        log_focals,
        np.array([fitted.expression for fitted in fit.captures]),
        tuple(fitted.pose for fitted in fit.captures),
    )


def _start(capture: Capture, landmark_model: LandmarkModel | None) -> HeadPose:
    if capture.start is not None:
        return capture.start
    for evidence in capture.evidence:
        if isinstance(evidence, LandmarkEvidence):
            return pose_from_landmarks(
                evidence.landmarks, capture.camera, _matching(landmark_model, evidence)
            )
    raise InvalidValue("a capture without landmarks needs a start pose")


def _terms(
    model: MorphableModel,
    captures: Sequence[Capture],
    landmark_model: LandmarkModel | None,
    layout: Layout,
    poses: Sequence[HeadPose],
    *,
    every: int,
) -> list[Term]:
    images = sum(any(isinstance(e, LandmarkEvidence) for e in capture.evidence) for capture in captures)
    terms: list[Term] = []
    for i, capture in enumerate(captures):
        for evidence in capture.evidence:
            match evidence:
                case LandmarkEvidence():
                    seen = _matching(landmark_model, evidence)
                    terms.append(
                        LandmarkTerm(
                            i, capture, evidence, seen, layout, start=poses[i], images=images, every=every
                        )
                    )
                case DepthSurfaceEvidence():
                    terms.append(DepthSurfaceTerm(i, capture, evidence, model, layout))
    return terms


def _matching(landmark_model: LandmarkModel | None, evidence: LandmarkEvidence) -> LandmarkModel:
    scheme = evidence.landmarks.scheme
    if landmark_model is None or landmark_model.scheme != scheme:
        have = "none" if landmark_model is None else landmark_model.scheme
        raise ModelMismatch(f"landmarks of the scheme {scheme} need its landmark model, there is {have}")
    return landmark_model


Linearization = tuple[NormalEquations, list[TermReport]]


def _step(
    linearize: Callable[..., Linearization], *, identity_free: bool, rough: bool
) -> tuple[Array, list[TermReport]]:
    """The Gauss-Newton step. rough: in single precision, if it can be solved there."""
    if rough:
        with contextlib.suppress(FitFailed):
            equations, reports = linearize(precision=ROUGH)
            return equations.step(identity_free=identity_free), reports
    equations, reports = linearize()
    return equations.step(identity_free=identity_free), reports


def _linearize(
    terms: Sequence[Term],
    state: State,
    layout: Layout,
    iteration: int,
    expression_sd: float,
    *,
    precision: type[np.floating[Any]] = np.float64,
) -> Linearization:
    equations = NormalEquations(layout, precision=precision)
    equations.add_priors(state, expression_sd)
    return equations, [term.accumulate(state, equations, iteration=iteration) for term in terms]


def _capture_fits(
    captures: Sequence[Capture],
    terms: Sequence[Term],
    reports: Sequence[TermReport],
    state: State,
    layout: Layout,
) -> tuple[CaptureFit, ...]:
    fits = []
    for i, capture in enumerate(captures):
        # A match belongs to two captures: it says nothing about how well either of them was fitted by itself.
        own = [r for term, r in zip(terms, reports, strict=True) if term.capture == i]
        count = sum(report.count for report in own)
        distances = [report.residual_mm for report in own if report.residual_mm is not None]
        fits.append(
            CaptureFit(
                pose=state.poses[i],
                expression=state.expressions[i],
                camera=capture.camera.scaled_focal(state.focal_factor(layout, i)),
                residual_rms=float(np.sqrt(sum(report.squared for report in own) / max(count, 1))),
                used_points=sum(report.points for report in own),
                residual_mm=distances[0] if distances else None,
            )
        )
    return tuple(fits)
