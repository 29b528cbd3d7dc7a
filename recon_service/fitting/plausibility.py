"""Does a fit look like a face that was seen through the camera that was stated? Gates against wrong units,
scale and alignment.

The limits lie well outside what real faces give: 198 depth frames of 11 people (Kinect v2, with and without
landmarks) reach 1.1 in ``residual_rms``, 1.8 mm in ``residual_mm``, 4.7 in mean squared coefficient, and
use at least 19 % of the surface points.
"""

from __future__ import annotations

import numpy as np

from recon_service.domain.fit import Fit
from recon_service.domain.morphable_model import MorphableModel

MAX_RESIDUAL_RMS = 2.0
MAX_RESIDUAL_MM = 2.5
MIN_SURFACE_SHARE = 0.15
MAX_MEAN_SQUARE = 8.0
"""Of the identity coefficients: 1 is expected of a face drawn from the model."""

Doubt = tuple[str, str]
"""A stable code, and what the person or the integrator can do."""


def doubts(fit: Fit, model: MorphableModel) -> tuple[Doubt, ...]:
    """Why the fit should not be used; empty if nothing speaks against it."""
    found: list[Doubt] = []
    if max(capture.residual_rms for capture in fit.captures) > MAX_RESIDUAL_RMS:
        found.append(
            (
                "fit-disagrees",
                "Image and depth do not agree with a face: check that they are aligned, not mirrored.",
            )
        )
    depth = [capture for capture in fit.captures if capture.residual_mm is not None]
    if any((capture.residual_mm or 0.0) > MAX_RESIDUAL_MM for capture in depth):
        found.append(
            (
                "surface-not-a-face",
                "The measured surface is not a face: check the depth scale and the intrinsics.",
            )
        )
    if any(capture.used_points < MIN_SURFACE_SHARE * len(model.surface) for capture in depth):
        found.append(
            ("too-little-face", "Too little of the face was measured: face the camera, hair and hands aside.")
        )
    if float(np.mean(fit.posterior.mean**2)) > MAX_MEAN_SQUARE:
        found.append(
            (
                "implausible-shape",
                "No face has this shape or size: check the depth scale and the focal length.",
            )
        )
    return tuple(found)
