"""Observations of known faces, with exactly the noise that the solver assumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from recon_service.canonical_model import load_builtin, load_ict, load_landmark_model
from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.evidence import Capture, LandmarkEvidence
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior
from recon_service.fitting.terms.landmarks import NUGGET
from recon_service.weights import bundled_directory

CAMERA = PinholeCamera(width=960, height=1280, fx=1000.0, fy=1000.0, cx=479.5, cy=639.5)


@cache
def builtin_model() -> MorphableModel:
    return load_builtin(bundled_directory() / "builtin.npz")


@cache
def landmark_model() -> LandmarkModel:
    return load_landmark_model(bundled_directory() / "builtin.npz", builtin_model())


@cache
def dense_model(mirror: Path) -> MorphableModel:
    return load_ict(mirror / "ict_facekit" / "ict_face_model.npz")


@cache
def independent_images_model() -> LandmarkModel:
    """The landmark model without errors that all images of a person share: every image is new evidence."""
    model = landmark_model()
    return replace(model, shared=np.zeros_like(model.shared), per_image=model.shared + model.per_image)


@dataclass(frozen=True)
class Person:
    """A face given as truth."""

    identity: Array
    expression: Array

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Person:
        model = builtin_model()
        return cls(rng.standard_normal(model.identity_modes), rng.standard_normal(model.expression_modes))


def pose(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, *, distance: float = 600.0) -> HeadPose:
    return HeadPose.from_angles(yaw=yaw, pitch=pitch, roll=roll, translation=np.array([5.0, -10.0, distance]))


def landmark_noise(model: LandmarkModel, images: int, rng: np.random.Generator) -> Array:
    """(images, N, 2) mm at the face: what the solver takes the errors of ``images`` pictures for."""
    covariance = images * model.shared + model.per_image
    covariance = covariance + NUGGET * np.diag(np.diag(covariance))
    root = np.linalg.cholesky(covariance)
    return np.stack([root @ rng.standard_normal((len(root), 2)) for _ in range(images)])


def seen_by(
    person: Person,
    at: HeadPose,
    *,
    camera: PinholeCamera = CAMERA,
    noise_mm: Array | None = None,
    model: LandmarkModel | None = None,
    expression: Array | None = None,
    log_focal_sd: float = 0.0,
) -> Capture:
    """A picture of a person: the apparent landmarks, plus noise (N, 2) mm at the face."""
    model = model or landmark_model()
    shown = person.expression if expression is None else expression
    pixels = camera.project(at.apply(model.points.positions(person.identity, shown)))
    if noise_mm is not None:
        pixels = pixels + noise_mm * camera.fx / at.translation[2]
    landmarks = FaceLandmarks(scheme=model.scheme, points=pixels, presence=1.0)
    return Capture("facemesh468", camera, (LandmarkEvidence(landmarks),), log_focal_sd=log_focal_sd)


def random_posterior(rng: np.random.Generator, modes: int = 6, *, space: str = "test/1") -> IdentityPosterior:
    """What some linear observation of a person of the population gives."""
    seen = rng.standard_normal((2 * modes, modes))
    values = seen @ rng.standard_normal(modes) + rng.standard_normal(2 * modes)
    return IdentityPosterior.from_evidence(space, seen.T @ seen, seen.T @ values)


def depth_of_plane(camera: PinholeCamera, normal: Array, offset: float) -> Array:
    """(H, W) mm: the depth of the plane normal · x = offset."""
    return offset / (pixel_rays(camera) @ normal)


def depth_of_ball(camera: PinholeCamera, center: Array, radius: float) -> Array:
    """(H, W) mm: the depth of a ball, 0 beside it."""
    rays = pixel_rays(camera)
    square, along = np.einsum("hwc,hwc->hw", rays, rays), rays @ center
    discriminant = along**2 - square * (center @ center - radius**2)
    near = (along - np.sqrt(np.maximum(discriminant, 0.0))) / square
    return np.where(discriminant > 0, near, 0.0)


def pixel_rays(camera: PinholeCamera) -> Array:
    """(H, W, 3) rays with z = 1 through the pixel centers."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(np.float64)
    return camera.rays(np.stack([u.ravel(), v.ravel()], axis=1)).reshape(camera.height, camera.width, 3)
