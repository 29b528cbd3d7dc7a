"""Frames of one visit -> what the measures say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from recon_service.domain.presentation import PresentationMeasure, PresentationResult
from recon_service.presentation_attack.frames import least_change
from recon_service.presentation_attack.limits import PresentationLimits
from recon_service.presentation_attack.nose import nose_protrusion
from recon_service.presentation_attack.relief import relief_gain
from recon_service.presentation_attack.screen import returns_share
from recon_service.presentation_attack.sheets import (
    cylinder_residual,
    plane_residual,
    polynomial_residual,
)
from recon_service.presentation_attack.surface import FaceSurface

SHOW_FACE = "Stand before the camera yourself, half a meter away, with nothing in front of your face."
NO_GLASS = "Put away screens and glass, and stand before the camera yourself."
COME_CLOSER = "Come a little closer and look at the camera."
LIVE = "Look at the camera while it takes new pictures."

RELIEF = frozenset({"cylinder", "bent-sheet", "crumpled-sheet", "nose", "relief"})
LEAST_RATIO = 0.05
"""A measure below its limit by more than this counts as this."""

Value = tuple[str, float, str, float, str]
"""Name, value, unit, limit, hint."""


def assess(
    faces: Sequence[FaceSurface],
    *,
    picture: float | None = None,
    limits: PresentationLimits | None = None,
) -> PresentationResult:
    """Each measure is the median over the frames that have it.

    picture: what the networks for pictures say, 0 to 1 for bona fide, or None.
    """
    limits = limits or PresentationLimits()
    found: dict[str, list[Value]] = {}
    for face in faces:
        for value in _of_frame(face, limits):
            found.setdefault(value[0], []).append(value)
    values = [
        (name, float(np.median([v[1] for v in several])), *several[0][2:]) for name, several in found.items()
    ]
    if (whole := _together(values)) is not None:
        values.append(("together", whole, "times", limits.together, SHOW_FACE))
    if (change := least_change(faces)) is not None:
        values.append(("replay", change, "share", limits.frame_change, LIVE))
    if picture is not None:
        values.append(("picture", picture, "share", limits.picture, SHOW_FACE))
    return PresentationResult(
        tuple(
            PresentationMeasure(name, value, unit, limit, limits.bona_fide(value, limit), hint)
            for name, value, unit, limit, hint in values
        )
    )


def _together(values: Sequence[Value]) -> float | None:
    """Geometric mean of value over limit of the measures of relief: an artefact that just passes each of them
    does not pass them all by much, as a face does. None unless all are there.
    """
    ratios = [value / limit for name, value, _, limit, _ in values if name in RELIEF]
    if len(ratios) < len(RELIEF):
        return None
    return float(np.exp(np.mean(np.log(np.maximum(ratios, LEAST_RATIO)))))


def _of_frame(face: FaceSurface, limits: PresentationLimits) -> Iterator[Value]:
    yield "screen", returns_share(face), "share", limits.returns, NO_GLASS
    skin = face.skin
    if len(skin) >= limits.least_points:
        yield "plane", plane_residual(skin), "mm", limits.plane_mm, SHOW_FACE
        yield "cylinder", cylinder_residual(skin), "mm", limits.cylinder_mm, SHOW_FACE
        yield "bent-sheet", polynomial_residual(skin, 2), "mm", limits.bent_sheet_mm, SHOW_FACE
        yield "crumpled-sheet", polynomial_residual(skin, 4), "mm", limits.crumpled_sheet_mm, SHOW_FACE
    if not face.from_picture:
        return
    if (nose := nose_protrusion(face)) is not None:
        yield "nose", nose, "mm", limits.nose_mm, COME_CLOSER
    if (gain := relief_gain(face)) is not None:
        yield "relief", gain, "mm/mm", limits.relief_gain, SHOW_FACE
