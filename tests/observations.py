"""Observations of known faces, with exactly the noise that the solver assumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from recon_service.canonical_model import load_builtin, load_landmark_model
from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.evidence import Capture, LandmarkEvidence
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
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
