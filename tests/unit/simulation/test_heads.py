from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.canonical_model import load_builtin
from recon_service.domain.errors import InvalidValue
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.geometry.raycast import raycast
from recon_service.simulation import (
    KIOSK_CAMERA,
    Ideal,
    PortraitTexture,
    Stereo,
    render_selfie,
    sample_head,
    simulate_capture,
)
from recon_service.simulation.capture import visit_pose
from recon_service.simulation.depth_sensor import true_depth
from recon_service.simulation.heads import smooth_field
from recon_service.simulation.texture import border_loops, with_closed_holes

BUILTIN = Path(__file__).parents[3] / "weights" / "builtin.npz"
FRONTAL = HeadPose.from_angles(yaw=0.0, pitch=0.0, roll=0.0, translation=np.array([0.0, 0.0, 600.0]))


@pytest.fixture(scope="module")
def model():
    return load_builtin(BUILTIN)


def test_a_sampled_head_is_the_model_at_its_coefficients(model):
    head = sample_head(model, np.random.default_rng(0))
    np.testing.assert_array_equal(head.mesh().vertices, model.mesh(head.identity).vertices)
    assert len(head.surface().triangles) >= 8000


def test_a_displacement_is_off_the_model_along_the_normals_and_as_large_as_asked(model):
    sizes = []
    for seed in range(60):
        head = sample_head(model, np.random.default_rng(seed), displacement_mm=0.7)
        along = np.einsum("vc,vc->v", head.displacement, model.vertices.normals)
        np.testing.assert_allclose(head.displacement, along[:, None] * model.vertices.normals, atol=1e-12)
        sizes.append(np.mean(along**2))
    assert np.sqrt(np.mean(sizes)) == pytest.approx(0.7, rel=0.1)


def test_a_smooth_field_forgets_over_its_extent():
    points = np.array([[0.0, 0.0, 0.0], [15.0, 0.0, 0.0], [60.0, 0.0, 0.0]])
    draws = np.array([smooth_field(points, 15.0, np.random.default_rng(seed)) for seed in range(1500)])
    correlation = np.corrcoef(draws.T)
    assert correlation[0, 1] == pytest.approx(np.exp(-0.5), abs=0.06)
    assert correlation[0, 2] == pytest.approx(0.0, abs=0.08)


def test_a_noise_free_capture_lies_on_the_head(model):
    head = sample_head(model, np.random.default_rng(1)).surface()
    pose = visit_pose(np.random.default_rng(2))
    frame = simulate_capture(head, KIOSK_CAMERA, pose, Ideal(), np.random.default_rng(3))
    rows, columns = np.nonzero(frame.depth)
    points = (
        KIOSK_CAMERA.rays(np.stack([columns, rows], axis=1).astype(float))
        * frame.depth[rows, columns][:, None]
    )
    posed = Mesh(pose.apply(head.vertices), head.triangles)
    hits = raycast(posed, KIOSK_CAMERA)
    on_mesh = hits.interpolated(posed.vertices, posed.triangles)[rows, columns]
    assert np.linalg.norm(points - on_mesh, axis=1).max() < 1e-3
    assert 20_000 < len(rows) < 80_000


def test_the_nose_is_nearest_and_the_forehead_is_up(model):
    depth = true_depth(sample_head(model, np.random.default_rng(4)).surface(), KIOSK_CAMERA, FRONTAL).depth
    rows, columns = np.nonzero(depth)
    seen = depth[rows, columns]
    nearest = rows[seen.argmin()], columns[seen.argmin()]
    assert abs(nearest[1] - (columns.min() + columns.max()) / 2) < 15
    assert rows.min() < nearest[0] < rows.max()
    assert 350 < seen.min() < 600, "millimetres"


def test_a_head_turned_to_its_left_shows_at_the_right_of_the_picture(model):
    head = sample_head(model, np.random.default_rng(5)).surface()
    turned = HeadPose.from_angles(yaw=30.0, pitch=0.0, roll=0.0, translation=FRONTAL.translation)
    straight_nose, turned_nose = (
        np.unravel_index(np.where(d > 0, d, np.inf).argmin(), d.shape)[1]
        for d in (true_depth(head, KIOSK_CAMERA, p).depth for p in (FRONTAL, turned))
    )
    assert turned_nose > straight_nose + 20


def test_captures_repeat_with_their_seed(model):
    head = sample_head(model, np.random.default_rng(6)).surface()
    frames = [
        simulate_capture(head, KIOSK_CAMERA, FRONTAL, Stereo(), np.random.default_rng(11)) for _ in range(2)
    ]
    np.testing.assert_array_equal(frames[0].depth, frames[1].depth)
    assert frames[0].camera_name == "simulated-stereo"


def test_a_wall_fills_the_background_and_must_stand_behind_the_head(model):
    head = sample_head(model, np.random.default_rng(7)).surface()
    truth = true_depth(head, KIOSK_CAMERA, FRONTAL, wall_mm=1200.0)
    assert (truth.depth[~truth.head] == 1200.0).all()
    with pytest.raises(InvalidValue, match="not behind the head"):
        true_depth(head, KIOSK_CAMERA, FRONTAL, wall_mm=500.0)


def test_a_rendered_selfie_carries_the_texture_where_the_head_is(model):
    head = sample_head(model, np.random.default_rng(8)).mesh()
    red = np.zeros((50, 50, 3), dtype=np.uint8)
    red[..., 0] = 200
    texture = PortraitTexture(Image(red), np.full((len(head.vertices), 2), 25.0))
    selfie = render_selfie(head, KIOSK_CAMERA, FRONTAL, texture)
    np.testing.assert_array_equal(selfie.pixels[240, 320], [200, 0, 0])
    np.testing.assert_array_equal(np.ptp(selfie.pixels[5, 5]), 0)
    assert selfie.camera().fx == pytest.approx(KIOSK_CAMERA.fx), "the stated focal length is the camera's"


def test_a_texture_of_another_model_is_refused(model):
    texture = PortraitTexture(Image(np.zeros((9, 9, 3), dtype=np.uint8)), np.zeros((5, 2)))
    with pytest.raises(InvalidValue, match="does not fit"):
        render_selfie(sample_head(model, np.random.default_rng(9)).mesh(), KIOSK_CAMERA, FRONTAL, texture)


def test_holes_are_closed_but_the_outer_border_stays_open():
    # A square ring: an outer border of 8 edges and a square hole.
    outer = np.array([[0, 0], [3, 0], [3, 3], [0, 3]], dtype=float)
    inner = np.array([[1, 1], [2, 1], [2, 2], [1, 2]], dtype=float)
    vertices = np.concatenate([np.concatenate([outer, inner]), np.zeros((8, 1))], axis=1)
    quads = [(k, (k + 1) % 4, 4 + (k + 1) % 4, 4 + k) for k in range(4)]
    ring = Mesh(vertices, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]))
    assert sorted(len(loop) for loop in border_loops(ring.triangles)) == [4, 4]
    closed, values = with_closed_holes(ring, vertices[:, :2])
    assert [len(loop) for loop in border_loops(closed.triangles)] == [4]
    np.testing.assert_allclose(values[-1], [1.5, 1.5])
    corners = closed.vertices[closed.triangles]
    turns = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert (turns > 0).all(), "all triangles face the same way"
    assert turns.sum() / 2 == pytest.approx(9.0)
