from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.mesh import Mesh
from recon_service.geometry.raycast import raycast

DISTORTED = PinholeCamera(160, 120, 150.0, 148.0, 82.0, 57.0, (-0.25, 0.08, 0.002, -0.001, 0.01))


def pixel_rays(camera, mask):
    rows, columns = np.nonzero(mask)
    return camera.rays(np.stack([columns, rows], axis=1).astype(float))


def test_a_wall_across_the_axis_has_its_depth_everywhere_and_not_the_length_of_the_ray(camera, wall):
    hits = raycast(wall(500.0), camera)
    assert hits.mask.all()
    np.testing.assert_allclose(hits.depth, 500.0, rtol=1e-12)
    rays = pixel_rays(camera, hits.mask)
    np.testing.assert_allclose(hits.cosine.ravel(), 1 / np.linalg.norm(rays, axis=1), rtol=1e-12)


@pytest.mark.parametrize("seen_by", [None, DISTORTED], ids=["pinhole", "distorted"])
def test_depth_and_barycentric_weights_name_the_same_point(camera, ball, seen_by):
    camera = seen_by or camera
    mesh = ball(80.0, center=(10.0, -5.0, 450.0))
    hits = raycast(mesh, camera)
    by_depth = pixel_rays(camera, hits.mask) * hits.depth[hits.mask][:, None]
    by_weights = hits.interpolated(mesh.vertices, mesh.triangles)[hits.mask]
    np.testing.assert_allclose(by_depth, by_weights, atol=1e-9)
    # ... and that point projects into its own pixel: the distortion goes both ways.
    rows, columns = np.nonzero(hits.mask)
    np.testing.assert_allclose(camera.project(by_weights), np.stack([columns, rows], axis=1), atol=1e-3)


def test_the_near_side_hides_the_far_side(camera, ball):
    hits = raycast(ball(80.0, center=(0.0, 0.0, 450.0)), camera)
    assert hits.depth[hits.mask].min() == pytest.approx(370.0, abs=1.0)
    assert hits.depth[hits.mask].max() < 450.0


def test_a_mesh_at_the_left_is_seen_at_the_left_and_below_is_below(camera, ball):
    rows, columns = np.nonzero(raycast(ball(20.0, center=(-100.0, 60.0, 450.0)), camera).mask)
    assert columns.max() < camera.cx
    assert rows.min() > camera.cy


def test_a_mesh_outside_the_picture_is_not_seen(camera, ball):
    assert not raycast(ball(20.0, center=(2000.0, 0.0, 450.0)), camera).mask.any()


def test_a_mesh_behind_the_camera_is_refused(camera, ball):
    with pytest.raises(InvalidValue, match="behind the camera"):
        raycast(ball(80.0, center=(0.0, 0.0, 40.0)), camera)


def test_an_empty_mesh_is_seen_nowhere(camera):
    assert not raycast(Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)), camera).mask.any()
