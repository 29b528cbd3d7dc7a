from __future__ import annotations

import numpy as np

from recon_service.rendering.shading import enlarged, shade, sky_visibility


def test_the_picture_has_soft_edges_and_the_background_stays_clear(camera, ball):
    rgba = shade(ball(80.0, center=(0.0, 0.0, 450.0)), camera)
    assert rgba.shape == (120, 160, 4)
    alpha = rgba[..., 3]
    assert alpha[0, 0] == 0
    assert alpha[60, 80] == 255
    assert ((alpha > 0) & (alpha < 255)).sum() > 50


def test_light_comes_from_the_upper_left(camera, ball):
    rgba = shade(ball(80.0, center=(0.0, 0.0, 450.0)), camera).astype(float)
    assert rgba[46, 66, :3].mean() > 1.3 * rgba[74, 94, :3].mean()


def test_the_sky_is_whole_above_a_ball_and_narrow_between_two(ball):
    alone = sky_visibility(ball(80.0))
    np.testing.assert_allclose(alone, 1.0, atol=0.02)
    left, right = ball(80.0), ball(80.0, center=(165.0, 0.0, 0.0))
    pair = type(left)(
        np.concatenate([left.vertices, right.vertices]),
        np.concatenate([left.triangles, right.triangles + len(left.vertices)]),
    )
    facing = left.vertices[:, 0].argmax()
    assert sky_visibility(pair)[facing] < 0.5


def test_an_enlarged_camera_sees_the_same_field(camera):
    fine = enlarged(camera, 3)
    corner = np.array([[-0.5, -0.5]])
    np.testing.assert_allclose(fine.rays(corner), camera.rays(corner), atol=1e-12)
    far = np.array([[camera.width - 0.5, camera.height - 0.5]])
    far_fine = np.array([[fine.width - 0.5, fine.height - 0.5]])
    np.testing.assert_allclose(fine.rays(far_fine), camera.rays(far), atol=1e-12)
