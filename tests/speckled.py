"""Rendered views of a known face with speckled skin, for matching."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from recon_service.application.computing.enroll import Selfie, selfie_capture
from recon_service.domain.arrays import Array
from recon_service.domain.evidence import Capture, SurfaceMatches
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.fit import CaptureFit, Fit
from recon_service.domain.images import Image
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior
from recon_service.simulation.texture import PortraitTexture, render_selfie
from tests.observations import CAMERA, builtin_model, landmark_model

YAWS = (0.0, -20.0, 20.0)


@cache
def true_fit(seed: int = 8) -> Fit:
    """A face in three poses, known exactly."""
    model, rng = builtin_model(), np.random.default_rng(seed)
    captures = tuple(
        CaptureFit(
            HeadPose.from_angles(yaw=yaw, pitch=3.0, roll=0.0, translation=np.array([0.0, 0.0, 420.0])),
            np.zeros(25),
            CAMERA,
            0.0,
            0,
        )
        for yaw in YAWS
    )
    return Fit(IdentityPosterior(model.space, 0.7 * rng.standard_normal(60), np.eye(60)), captures)


@cache
def speckled_pictures(seed: int = 8) -> tuple[Image, ...]:
    """The face with speckled skin in each pose, no light that differs between them."""
    truth, model = true_fit(seed), builtin_model()
    speckles = np.random.default_rng(seed - 8).integers(60, 200, (64, 64, 3)).astype(np.uint8)
    skin = np.asarray(np.kron(speckles, np.ones((8, 8, 1), np.uint8)))
    front = truth.captures[0]
    flat = front.camera.project(front.pose.apply(model.vertices.mean))
    low, high = flat.min(axis=0), flat.max(axis=0)
    texture = PortraitTexture(Image(skin), (flat - low) / (high - low) * 500)
    head = truth.mesh(model)
    return tuple(render_selfie(head, CAMERA, c.pose, texture) for c in truth.captures)


def average_captures(seed: int = 8) -> list[Capture]:
    """Captures with the landmarks of the average face: landmarks pull to it."""
    seen = landmark_model()
    selfies = []
    for image, capture in zip(speckled_pictures(seed), true_fit(seed).captures, strict=True):
        pixels = CAMERA.project(capture.pose.apply(seen.points.mean))
        selfies.append(Selfie(image, None, FaceLandmarks(scheme=seen.scheme, points=pixels, presence=1.0)))
    return [selfie_capture(s) for s in selfies]


def matched_points(fit: Fit, matches: SurfaceMatches, capture: int) -> Array:
    """(N, 2) pixels at which a capture shows the matched points of the surface under a fit."""
    model, view = builtin_model(), fit.captures[capture]
    corners = fit.mesh(model, capture=capture).vertices[model.triangles[matches.triangles]]
    return view.camera.project(view.pose.apply(np.einsum("nb,nbc->nc", matches.barycentric, corners)))


def alike(one: Fit, other: Fit) -> float:
    """Cosine of two identities."""
    a, b = one.posterior.mean, other.posterior.mean
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))


def noise_picture(like: Image) -> Image:
    return Image(np.random.default_rng(3).integers(0, 255, like.pixels.shape).astype(np.uint8))


def pixels_of(found: Sequence[SurfaceMatches]) -> list[Array]:
    return [np.hstack([m.first_pixels, m.second_pixels]) for m in found]
