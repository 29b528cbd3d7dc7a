"""Several selfies of one person: the landmark fit, sharpened by matching the skin between the pictures.

Landmarks pull every face toward the average; the skin does not. Round by round the pictures are warped over
each other through the current mesh, what still moves becomes surface matches, and everything is fitted
together again. Landmarks then only hold the pose and the expression.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

from recon_service.domain.evidence import Capture, LandmarkEvidence, SurfaceMatches, SurfacePoints
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.morphable_model import MorphableModel
from recon_service.fitting import fit_identity
from recon_service.matching import PictureSet, SkinMatching, pairs_to_match

PHOTOMETRIC = "selfies-photometric"
"""Key of such a fit in the noise table."""


@dataclass(frozen=True, slots=True)
class PhotometricOptions:
    """How pictures are matched and fitted together.

    steps: Gauss-Newton steps per round of matching. landmark_information: weight of the landmarks beside
    matches of well resolved faces; it grows as matches get fewer, up to 1. expression_sd: prior on the
    expression of each picture.
    """

    steps: int = 2
    landmark_information: float = 0.02
    expression_sd: float = 0.6


@dataclass(frozen=True, slots=True)
class LandmarkFit:
    """One person's pictures and what landmarks made of them: where the refinement starts."""

    fit: Fit
    captures: Sequence[Capture]
    images: Sequence[Image]
    surfaces: Sequence[SurfacePoints] = field(default=())


def refined(
    start: LandmarkFit,
    *,
    model: MorphableModel,
    landmark_model: LandmarkModel,
    matcher: SkinMatching,
    options: PhotometricOptions | None = None,
) -> Fit | None:
    """The fit of two or more selfies after matching their skin, or None where no pair of pictures matches."""
    steps = refinement(start, model=model, landmark_model=landmark_model, matcher=matcher, options=options)
    try:
        wanted = next(steps)
        for round_ in range(matcher.rounds):
            wanted = steps.send(matcher.matches(wanted.views, wanted.fit, wanted.pairs, round_=round_))
    except StopIteration as end:
        result: Fit | None = end.value
        return result
    raise AssertionError("a refinement ends after its last round")


def refinement(
    start: LandmarkFit,
    *,
    model: MorphableModel,
    landmark_model: LandmarkModel,
    matcher: SkinMatching,
    options: PhotometricOptions | None = None,
) -> Generator[PictureSet, Sequence[SurfaceMatches], Fit | None]:
    """The same with the matching left to the caller: in each round it asks for the matches of a picture set,
    is sent them, and fits. So the rounds of many people can share one call of a matcher that works in
    batches.
    """
    if len(start.images) < 2:
        return None
    o = options or PhotometricOptions()
    fit = start.fit
    views = matcher.views(start.images, fit)
    resolved = min(view.resolved for view in views)
    quiet = with_quiet_landmarks(start.captures, resolved=resolved, options=o)
    turns = [capture.pose.angles()[:2] for capture in fit.captures]
    for round_ in range(matcher.rounds):
        last = round_ == matcher.rounds - 1
        matches = yield PictureSet(views, fit, pairs_to_match(turns, neighbors=last))
        if not matches:
            return None
        fit = fit_identity(
            model,
            quiet,
            landmark_model=landmark_model,
            matches=matches,
            surfaces=start.surfaces,
            start=fit,
            iterations=o.steps,
            expression_sd=o.expression_sd,
            provisional=not last,
        )
    return fit


def with_quiet_landmarks(
    captures: Sequence[Capture], *, resolved: float, options: PhotometricOptions | None = None
) -> tuple[Capture, ...]:
    """The captures as they stand beside matches: landmarks only hold the pose and the expression. resolved:
    share of the working pixels that the least resolved picture has.
    """
    o = options or PhotometricOptions()
    # Matches of small faces are few and noisy, while the landmarks' errors in millimetres stay as they are.
    information = min(1.0, o.landmark_information / resolved**2)
    return tuple(
        replace(
            capture,
            evidence=tuple(
                replace(e, information=information) if isinstance(e, LandmarkEvidence) else e
                for e in capture.evidence
            ),
        )
        for capture in captures
    )
