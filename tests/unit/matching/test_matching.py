"""Skin matched between rendered views whose geometry is known."""

from __future__ import annotations

import numpy as np
import pytest

from recon_service.application.enroll import Selfie, selfie_capture
from recon_service.application.photometric import refined
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.fit import CaptureFit, Fit
from recon_service.domain.images import Image
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior
from recon_service.fitting import fit_identity
from recon_service.matching import MatchOptions, SurfaceMatcher
from recon_service.matching.shading import shading
from recon_service.matching.view import evened
from recon_service.simulation.texture import PortraitTexture, render_selfie
from tests.observations import CAMERA, builtin_model, landmark_model

MODEL = builtin_model()
YAWS = (0.0, -20.0, 20.0)


@pytest.fixture(scope="module")
def truth() -> Fit:
    rng = np.random.default_rng(8)
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
    return Fit(IdentityPosterior(MODEL.space, 0.7 * rng.standard_normal(60), np.eye(60)), captures)


@pytest.fixture(scope="module")
def pictures(truth: Fit) -> list[Image]:
    """The true face with speckled skin, three views, no light that differs between them."""
    speckles = np.random.default_rng(0).integers(60, 200, (64, 64, 3)).astype(np.uint8)
    skin = np.asarray(np.kron(speckles, np.ones((8, 8, 1), np.uint8)))
    front = truth.captures[0]
    flat = front.camera.project(front.pose.apply(MODEL.vertices.mean))
    low, high = flat.min(axis=0), flat.max(axis=0)
    texture = PortraitTexture(Image(skin), (flat - low) / (high - low) * 500)
    head = truth.mesh(MODEL)
    return [render_selfie(head, CAMERA, c.pose, texture) for c in truth.captures]


def predicted(fit: Fit, matches) -> np.ndarray:
    mesh, view = fit.mesh(MODEL, capture=matches.second).vertices, fit.captures[matches.second]
    corners = mesh[MODEL.triangles[matches.triangles]]
    points = np.einsum("nb,nbc->nc", matches.barycentric, corners)
    return view.camera.project(view.pose.apply(points))


def test_under_the_true_shape_skin_stays_where_it_is(truth: Fit, pictures: list[Image]) -> None:
    matcher = SurfaceMatcher(MODEL)
    views = matcher.views(pictures, truth)
    found = matcher.matches(views, truth, [(0, 1), (0, 2)])
    assert [(m.first, m.second) for m in found] == [(0, 1), (0, 2)]
    for matches in found:
        off = (matches.second_pixels - predicted(truth, matches)) * np.array(views[matches.second].scale)
        assert np.median(np.linalg.norm(off, axis=1)) < 0.15, "working pixels"
        assert np.linalg.norm(off.mean(axis=0)) < 0.05


def test_the_first_pixel_lies_on_the_matched_point(truth: Fit, pictures: list[Image]) -> None:
    matcher = SurfaceMatcher(MODEL)
    (matches,) = matcher.matches(matcher.views(pictures, truth), truth, [(0, 1)])
    view = truth.captures[0]
    corners = truth.mesh(MODEL, capture=0).vertices[MODEL.triangles[matches.triangles]]
    points = np.einsum("nb,nbc->nc", matches.barycentric, corners)
    np.testing.assert_allclose(view.camera.project(view.pose.apply(points)), matches.first_pixels, atol=1e-2)


def test_matching_leads_from_the_wrong_shape_to_the_true_one(truth: Fit, pictures: list[Image]) -> None:
    """Landmarks that see the average face pull to it; the skin does not."""
    seen = landmark_model()
    selfies = []
    for image, capture in zip(pictures, truth.captures, strict=True):
        pixels = CAMERA.project(capture.pose.apply(seen.points.mean))
        selfies.append(Selfie(image, None, FaceLandmarks(scheme=seen.scheme, points=pixels, presence=1.0)))
    captures = [selfie_capture(s) for s in selfies]
    first = fit_identity(MODEL, captures, landmark_model=seen)
    fit = refined(first, captures, pictures, model=MODEL, landmark_model=seen, matcher=SurfaceMatcher(MODEL))
    assert fit is not None

    def alike(one: Fit) -> float:
        a, b = one.posterior.mean, truth.posterior.mean
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))

    assert alike(fit) > 0.4 > alike(first) + 0.1


def test_one_picture_has_nothing_to_match(truth: Fit, pictures: list[Image]) -> None:
    assert (
        refined(
            truth,
            [],
            pictures[:1],
            model=MODEL,
            landmark_model=landmark_model(),
            matcher=SurfaceMatcher(MODEL),
        )
        is None
    )


def test_pictures_without_anything_in_common_give_no_matches(truth: Fit, pictures: list[Image]) -> None:
    noise = np.random.default_rng(3).integers(0, 255, pictures[0].pixels.shape).astype(np.uint8)
    matcher = SurfaceMatcher(MODEL, MatchOptions(min_matches=200))
    views = matcher.views([pictures[0], Image(noise), pictures[2]], truth)
    assert [m.second for m in matcher.matches(views, truth, [(0, 1), (0, 2)])] == [2]


def test_shading_is_what_the_normals_explain() -> None:
    rng = np.random.default_rng(2)
    normals = rng.standard_normal((4000, 3)) + np.array([0.0, 0.0, -2.0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    light = 100 + 60 * normals[:, 0] - 40 * normals[:, 2] + 20 * normals[:, 0] * normals[:, 1]
    brightness = light * rng.uniform(0.9, 1.1, len(light))
    brightness[:200] *= 0.3  # brows
    found = shading(brightness, normals)
    assert np.abs(found / found.mean() - light / light.mean()).max() < 0.05


def test_evening_ignores_gain_and_offset() -> None:
    rng = np.random.default_rng(2)
    gray = rng.uniform(40, 200, (64, 64)).astype(np.float32)
    mask = np.ones((64, 64), np.uint8)
    one, other = evened(gray, mask, blur=5.0), evened(0.5 * gray + 30, mask, blur=5.0)
    assert np.abs(one.astype(int) - other.astype(int)).mean() < 4
    mask[:, 32:] = 0
    assert (evened(gray, mask, blur=5.0)[:, 32:] == 128).all()
