"""Does a fit look like a face that was seen through the camera that was stated? Gates against wrong units,
scale and alignment, and against surfaces that are no face.

Each limit lies outside what real faces give: 594 depth frames of 11 people (Kinect v2) with their infrared
pictures, and 297 of them without, reach 1.0 in ``residual_rms``, 1.5 mm in ``residual_mm`` and 4.7 in mean
squared coefficient, use at least 38 % of the surface points, have sizes of 0.89 to 1.12 and a relief of at
least 3.2 mm, and picture and fit disagree by at most 13 degrees about where the head is turned (dense and
built-in model).

What is caught on the same recordings, with a picture in every frame that was tried: depth in meters, in
centimetres, in tenths or quarters of a millimetre, or off by a factor of two; a focal length off by 1.6; a
picture mirrored against the depth map of a head that is turned by more than 12 degrees; planes and balls.

What is not:

- A scale or a focal length off by less than about 20 %: people differ nearly that much in size.
- Without a picture, a scale of 0.8 to 1.25, and a focal length stated too short: 1.6 passes in every second
  frame, 1.3 in most. The fit then slides and trades the size of the face against its place.
- The picture of a head that looks straight into the camera mirrored against its depth map, or the two
  mirrored together: a mirrored face is a face. A depth map upside down.
- Any solid copy of a face, and prints bent tightly: this is no presentation-attack check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.depth_sampling import depth_at
from recon_service.domain.errors import FitFailed
from recon_service.domain.evidence import Capture, DepthSurfaceEvidence, LandmarkEvidence
from recon_service.domain.fit import CaptureFit, Fit
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.morphable_model import LinearPoints, MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.fitting.start import pose_from_landmarks

MAX_RESIDUAL_RMS = 2.0
MAX_RESIDUAL_MM = 2.5
MIN_SURFACE_SHARE = 0.15
MAX_MEAN_SQUARE = 8.0
"""Of the identity coefficients: 1 is expected of a face drawn from the model."""
MIN_SIZE, MAX_SIZE = 0.80, 1.20
"""Of the neutral face against the mean face; of 1000 faces drawn from the model all lie in 0.81 to 1.15."""
MIN_RELIEF_MM = 2.2
"""What the best quadratic surface leaves of the measured points: nose, brows and lips of a face, little of a
plane, a ball or a bent print.
"""
MAX_TURN_DEG = 18.0
"""Between the head pose that the picture alone gives and that of the fit."""
ON_FACE_MM = 8.0
NEAR_FACE_MM = 40.0
MIN_FACING = 0.3

Doubt = tuple[str, str]
"""A stable code, and what the person or the integrator can do."""

DISAGREES = (
    "fit-disagrees",
    "Image and depth do not agree with a face: check that they are aligned, not mirrored.",
)
NOT_A_FACE = (
    "surface-not-a-face",
    "The measured surface is not a face: check the depth scale and the intrinsics.",
)
TOO_LITTLE = (
    "too-little-face",
    "Too little of the face was measured: face the camera, hair and hands aside.",
)
IMPLAUSIBLE = (
    "implausible-shape",
    "No face has this shape or size: check the depth scale and the focal length.",
)


def doubts(
    fit: Fit, captures: Sequence[Capture], *, model: MorphableModel, landmark_model: LandmarkModel
) -> tuple[Doubt, ...]:
    """Why the fit of these captures should not be used; empty if nothing speaks against it."""
    found: list[Doubt] = []
    if max(fitted.residual_rms for fitted in fit.captures) > MAX_RESIDUAL_RMS:
        found.append(DISAGREES)
    if float(np.mean(fit.posterior.mean**2)) > MAX_MEAN_SQUARE:
        found.append(IMPLAUSIBLE)
    for capture, fitted in zip(captures, fit.captures, strict=True):
        for evidence in capture.evidence:
            if isinstance(evidence, DepthSurfaceEvidence):
                found.extend(_doubts_about_depth(fit, fitted, evidence, model))
                found.extend(_doubts_about_alignment(capture, fitted, landmark_model))
    return tuple(dict.fromkeys(found))


def _doubts_about_depth(
    fit: Fit, fitted: CaptureFit, evidence: DepthSurfaceEvidence, model: MorphableModel
) -> list[Doubt]:
    points = model.surface_points
    found: list[Doubt] = []
    if not MIN_SIZE <= relative_size(points, fit.posterior.mean) <= MAX_SIZE:
        found.append(IMPLAUSIBLE)
    surface = measured_surface(points, fit, fitted, evidence)
    if surface.on_face < MIN_SURFACE_SHARE * len(points):
        found.append(TOO_LITTLE)
    elif (fitted.residual_mm or 0.0) > MAX_RESIDUAL_MM or relief(surface.points) < MIN_RELIEF_MM:
        found.append(NOT_A_FACE)
    return found


def _doubts_about_alignment(
    capture: Capture, fitted: CaptureFit, landmark_model: LandmarkModel
) -> list[Doubt]:
    for evidence in capture.evidence:
        if isinstance(evidence, LandmarkEvidence):
            try:
                alone = pose_from_landmarks(evidence.landmarks, fitted.camera, landmark_model)
            except FitFailed:
                return [DISAGREES]
            if turn_between(alone, fitted.pose) > MAX_TURN_DEG:
                return [DISAGREES]
    return []


def relative_size(points: LinearPoints, identity: Array) -> float:
    """Size of the neutral face against the mean face: ratio of the root mean square distances from their
    centers.
    """
    shape, mean = points.positions(identity), points.mean
    return float(np.linalg.norm(shape - shape.mean(axis=0)) / np.linalg.norm(mean - mean.mean(axis=0)))


@dataclass(frozen=True, slots=True)
class MeasuredSurface:
    """points: (M, 3) mm, head frame, measured within 40 mm of the fitted face. on_face: how many points of
    the model lie on the measured surface.
    """

    points: Array
    on_face: int


def measured_surface(
    points: LinearPoints, fit: Fit, fitted: CaptureFit, evidence: DepthSurfaceEvidence
) -> MeasuredSurface:
    """What the depth map holds where the camera should see the fitted face."""
    pose = fitted.pose
    placed = pose.apply(points.positions(fit.posterior.mean, fitted.expression))
    normals = points.normals @ pose.rotation.T
    depth, seen = depth_at(evidence.depth, fitted.camera, placed)
    along = np.einsum("ni,ni->n", normals, placed)
    # A fit that ran away may have put points behind the camera: they are not seen.
    ratio = depth / np.where(seen, placed[:, 2], 1.0)
    distance = along * (ratio - 1.0)
    seen &= -along > MIN_FACING * np.linalg.norm(placed, axis=1)
    near = seen & (np.abs(distance) < NEAR_FACE_MM)
    measured = placed[near] * ratio[near][:, None]
    return MeasuredSurface(
        (measured - pose.translation) @ pose.rotation, int((seen & (np.abs(distance) < ON_FACE_MM)).sum())
    )


def relief(points: Array) -> float:
    """Root mean square in mm that the best quadratic z(x, y) leaves of points (N, 3) mm, head frame."""
    x, y, z = points.T / 50.0
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    coefficients = np.linalg.lstsq(terms, z, rcond=None)[0]
    return float(50.0 * np.sqrt(np.mean((z - terms @ coefficients) ** 2)))


def turn_between(one: HeadPose, other: HeadPose) -> float:
    """Angle in degrees of the rotation that carries one pose into the other."""
    cosine = (np.trace(one.rotation.T @ other.rotation) - 1.0) / 2.0
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0))))
