"""Fitting kept evidence again, by the solver, the landmark model and the canonical model in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recon_service.application.computing.kept_evidence import KeptCaptures, from_bytes
from recon_service.application.computing.photometric import PhotometricOptions, with_quiet_landmarks
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.records.operations import LANDMARKS_ALONE, EnrollmentOutcome, Problem
from recon_service.domain.errors import FitFailed, ModelMismatch
from recon_service.domain.evidence import LandmarkEvidence, SurfaceMatches
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.fitting import fit_identity
from recon_service.fitting.plausibility import doubts
from recon_service.geometry.raycast import cast
from recon_service.matching import SkinMatching
from recon_service.matching.texture import SkinTexture
from recon_service.matching.view import FaceView

FEWEST_MATCHES = 20
"""Of a pair, after its pixels have been laid on another model; fewer say nothing."""


@dataclass
class RememberingMatcher:
    """A matcher that keeps what it found last: the matches that a fit rests on, which belong to its
    evidence, and the views that they were found in.
    """

    matcher: SkinMatching
    matched: tuple[SurfaceMatches, ...] = ()
    viewed: tuple[FaceView, ...] = ()
    resolved: float = 1.0
    rounds: int = field(init=False)

    def __post_init__(self) -> None:
        self.rounds = self.matcher.rounds

    def views(self, images: Sequence[Image], fit: Fit) -> list[FaceView]:
        """As the matcher has them."""
        views = self.matcher.views(images, fit)
        self.viewed = tuple(views)
        self.resolved = min((view.resolved for view in views), default=1.0)
        return views

    def matches(
        self, views: Sequence[FaceView], fit: Fit, pairs: Sequence[tuple[int, int]], *, round_: int = -1
    ) -> list[SurfaceMatches]:
        """As the matcher finds them; the last ones are kept."""
        found = self.matcher.matches(views, fit, pairs, round_=round_)
        self.matched = tuple(found)
        return found

    def textures(self, views: Sequence[FaceView], fit: Fit) -> list[SkinTexture]:
        """As the matcher has them."""
        return self.matcher.textures(views, fit)


def refitted(content: bytes, pipeline: FacePipeline, *, backend: str = LANDMARKS_ALONE) -> EnrollmentOutcome:
    """The posterior that the models in force find in kept evidence; None in the outcome, with the reason,
    where the fit is not to be trusted.

    Raises StorageFault for bytes that are no evidence; ModelMismatch where the models in force can do
    nothing with it: another landmark scheme, a coefficient space whose expressions are others, or a backend
    whose meshes were not kept.
    """
    kept = from_bytes(content)
    _require(kept, pipeline, backend)
    matches = _on_model(kept, pipeline.model)
    captures = kept.captures
    if matches:
        captures = with_quiet_landmarks(captures, resolved=kept.resolved)
    source = kept.source
    if kept.matches and not matches:
        source = f"{kept.captures[0].source}/{kept.source.partition('/')[2]}"
    try:
        fit = fit_identity(
            pipeline.model,
            captures,
            landmark_model=pipeline.landmark_model,
            matches=matches,
            surfaces=kept.surfaces if kept.model == pipeline.model.name else (),
            start=kept.fit,
            expression_sd=PhotometricOptions().expression_sd if matches else 1.0,
        )
    except FitFailed as fault:
        return EnrollmentOutcome((), None, Problem(fault.code, fault.detail, fault.next_step))
    found = doubts(fit, kept.captures, model=pipeline.model, landmark_model=pipeline.landmark_model)
    if found:
        return EnrollmentOutcome((), None, Problem(found[0][0], "The fit is not to be trusted.", found[0][1]))
    return EnrollmentOutcome(
        (),
        fit.posterior,
        source=source,
        backend=kept.backend,
        model=pipeline.model.name,
        calibration=pipeline.calibration.identity,
    )


def _require(kept: KeptCaptures, pipeline: FacePipeline, backend: str) -> None:
    schemes = {
        e.landmarks.scheme for c in kept.captures for e in c.evidence if isinstance(e, LandmarkEvidence)
    }
    if schemes != {pipeline.landmark_model.scheme}:
        raise ModelMismatch(
            f"kept landmarks are of {', '.join(sorted(schemes))}, the service knows "
            f"{pipeline.landmark_model.scheme}",
            next_step="Ask the subject for new selfies.",
        )
    modes = len(kept.fit.captures[0].expression)
    if kept.space != pipeline.model.space or modes != pipeline.model.expression_modes:
        raise ModelMismatch(
            f"the evidence was fitted with {kept.space}, the service runs {pipeline.model.space}",
            next_step="Ask the subject for new selfies.",
        )
    meshes = kept.surfaces[0].source if kept.surfaces else LANDMARKS_ALONE
    if backend != meshes or (kept.surfaces and kept.model != pipeline.model.name):
        raise ModelMismatch(
            f"the meshes of {backend} are not among what was kept",
            next_step="Only kept selfies can be looked at by another backend.",
        )


def _on_model(kept: KeptCaptures, model: MorphableModel) -> tuple[SurfaceMatches, ...]:
    """The matches on this model's triangles. A match is two pixels that show one skin: where the ray of the
    first one meets the fitted face is found anew where the model has another mesh.
    """
    if kept.model == model.name:
        return kept.matches
    moved = []
    for match in kept.matches:
        fitted = kept.fit.captures[match.first]
        head = model.vertices.positions(kept.fit.posterior.mean, fitted.expression)
        mesh = Mesh(fitted.pose.apply(head), model.triangles)
        triangle, weights, _, _ = cast(mesh, fitted.camera.rays(match.first_pixels))
        seen = np.flatnonzero((triangle >= 0) & model.skin[triangle])
        if len(seen) < FEWEST_MATCHES:
            continue
        share = len(seen) / len(triangle)
        moved.append(
            replace(
                match,
                triangles=triangle[seen],
                barycentric=weights[seen],
                first_pixels=match.first_pixels[seen],
                second_pixels=match.second_pixels[seen],
                effective_matches=match.effective_matches * share,
            )
        )
    return tuple(moved)
