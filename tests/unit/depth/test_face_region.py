"""Where the face is in a depth map, and which way its surface faces."""

from __future__ import annotations

import numpy as np
import pytest

from recon_service.depth.face_region import REACH_MM, face_region, surface_normals
from recon_service.domain.camera import PinholeCamera
from tests.observations import builtin_model, pose

CAMERA = PinholeCamera(width=160, height=120, fx=150.0, fy=155.0, cx=80.2, cy=59.1)


def plane(normal: np.ndarray, distance: float) -> np.ndarray:
    v, u = np.mgrid[0:120, 0:160]
    rays = CAMERA.rays(np.stack([u.ravel(), v.ravel()], axis=1).astype(float))
    return (distance * normal[2] / (rays @ normal)).reshape(120, 160)


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.4, 0.0), (0.0, -0.5), (-0.3, 0.3)])
def test_the_normals_of_a_plane_are_its_own(tilt: tuple[float, float]) -> None:
    normal = np.array([*tilt, -1.0])
    normal /= np.linalg.norm(normal)
    found = surface_normals(plane(normal, 600.0), CAMERA)
    np.testing.assert_allclose(found[2:-2, 2:-2], np.broadcast_to(normal, (116, 156, 3)), atol=1e-9)
    assert not found[:2].any(), "unknown at the border"


def test_next_to_a_hole_no_normal_is_known() -> None:
    depth = plane(np.array([0.0, 0.0, -1.0]), 600.0)
    depth[50, 70] = 0.0
    found = surface_normals(depth, CAMERA)
    assert not found[50, 70].any()
    assert not found[50, 72].any()
    assert found[50, 74].any()


def test_an_empty_map_has_neither_normals_nor_a_face() -> None:
    nothing = np.zeros((120, 160))
    assert not surface_normals(nothing, CAMERA).any()
    assert not face_region(nothing, CAMERA, pose(), builtin_model()).any()


def test_the_wall_and_the_hand_go_and_the_face_stays() -> None:
    at, model = pose(distance=600.0), builtin_model()
    middle = at.apply(model.vertices.mean[model.surface].mean(axis=0)[None])[0]
    depth = np.full((120, 160), 1500.0)
    depth[40:80, 60:100] = middle[2]
    depth[100:110, 140:150] = middle[2] - REACH_MM - 60
    found = face_region(depth, CAMERA, at, model)
    assert (found[40:80, 60:100] == depth[40:80, 60:100]).all()
    assert np.count_nonzero(found) == 40 * 40


def test_a_head_outside_the_picture_leaves_nothing() -> None:
    at = pose(distance=600.0)
    far = type(at)(at.rotation, at.translation + np.array([5000.0, 0.0, 0.0]))
    assert not face_region(np.full((120, 160), 600.0), CAMERA, far, builtin_model()).any()
