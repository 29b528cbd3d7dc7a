"""Cameras, poses, depth maps and meshes: what must hold for all of them."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.linalg import expm

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_sampling import depth_at
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose, nearest_rotation, rotation_from_vector, skew
from tests.observations import depth_of_plane

seeds = st.integers(0, 2**32 - 1)
small = st.floats(-1.0, 1.0)


@st.composite
def cameras(draw: st.DrawFn) -> PinholeCamera:
    """Lenses as they are sold, up to 75 degrees across the corners: the distortion stays far from folding."""
    width, height = draw(st.integers(64, 2000)), draw(st.integers(64, 2000))
    focal = draw(st.floats(1.3, 4.0)) * max(width, height)
    return PinholeCamera(
        width=width,
        height=height,
        fx=focal,
        fy=focal * draw(st.floats(0.9, 1.1)),
        cx=width * draw(st.floats(0.3, 0.7)),
        cy=height * draw(st.floats(0.3, 0.7)),
        distortion=(
            0.15 * draw(small),
            0.1 * draw(small),
            0.005 * draw(small),
            0.005 * draw(small),
            0.02 * draw(small),
        ),
    )


def pixels_of(camera: PinholeCamera, seed: int, count: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).uniform([0, 0], [camera.width, camera.height], (count, 2))


@given(camera=cameras(), seed=seeds)
def test_projecting_the_rays_of_pixels_gives_the_pixels(camera: PinholeCamera, seed: int) -> None:
    pixels = pixels_of(camera, seed)
    rays = camera.rays(pixels)
    np.testing.assert_array_equal(rays[:, 2], 1.0)
    distance = np.random.default_rng(seed + 1).uniform(100.0, 3000.0, (len(rays), 1))
    np.testing.assert_allclose(camera.project(rays * distance), pixels, atol=1e-3)


@given(camera=cameras(), seed=seeds)
def test_without_distortion_the_way_there_and_back_is_exact(camera: PinholeCamera, seed: int) -> None:
    ideal = PinholeCamera(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)
    pixels = pixels_of(ideal, seed)
    np.testing.assert_allclose(ideal.project(ideal.rays(pixels) * 700.0), pixels, atol=1e-9)


@given(camera=cameras(), seed=seeds, left=st.integers(-50, 50), top=st.integers(-50, 50))
def test_a_crop_sees_the_same_rays(camera: PinholeCamera, seed: int, left: int, top: int) -> None:
    crop = camera.cropped(left=left, top=top, width=camera.width, height=camera.height)
    pixels = pixels_of(camera, seed)
    np.testing.assert_allclose(crop.rays(pixels - [left, top]), camera.rays(pixels), atol=1e-12)


@given(camera=cameras(), seed=seeds, factor=st.floats(0.5, 2.0))
def test_a_longer_lens_moves_pixels_away_from_the_principal_point(
    camera: PinholeCamera, seed: int, factor: float
) -> None:
    points = camera.rays(pixels_of(camera, seed)) * 500.0
    center = np.array([camera.cx, camera.cy])
    there, here = camera.scaled_focal(factor).project(points), camera.project(points)
    np.testing.assert_allclose(there - center, factor * (here - center), atol=1e-9 * camera.fx)


@given(yaw=st.floats(-80, 80), pitch=st.floats(-80, 80), roll=st.floats(-170, 170))
def test_angles_come_back_from_a_pose(yaw: float, pitch: float, roll: float) -> None:
    pose = HeadPose.from_angles(yaw=yaw, pitch=pitch, roll=roll, translation=np.array([1.0, 2.0, 600.0]))
    np.testing.assert_allclose(pose.angles(), (yaw, pitch, roll), atol=1e-6)
    assert np.linalg.det(pose.rotation) == pytest.approx(1.0)


@given(seed=seeds, angle=st.floats(0.0, 3.1))
def test_rodrigues_formula_is_the_matrix_exponential(seed: int, angle: float) -> None:
    axis = np.random.default_rng(seed).standard_normal(3)
    vector = angle * axis / np.linalg.norm(axis)
    np.testing.assert_allclose(rotation_from_vector(vector), expm(skew(vector)), atol=1e-9)


@given(seed=seeds)
def test_moving_a_pose_is_the_exponential_map_in_the_camera_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pose = HeadPose(rotation_from_vector(rng.standard_normal(3)), rng.normal(0, 300, 3))
    turn, shift = rng.normal(0, 0.5, 3), rng.normal(0, 20, 3)
    points = rng.normal(0, 80, (10, 3))
    expected = points @ pose.rotation.T @ expm(skew(turn)).T + pose.translation + shift
    np.testing.assert_allclose(pose.moved(turn, shift).apply(points), expected, atol=1e-8)


@given(seed=seeds)
def test_the_nearest_rotation_is_nearer_than_any_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((3, 3))
    # Without a unique nearest rotation the polar decomposition may pick any of them.
    singular = np.linalg.svd(matrix, compute_uv=False)
    assume(singular[1] - singular[2] > 1e-3)
    nearest = nearest_rotation(matrix)
    np.testing.assert_allclose(nearest @ nearest.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(nearest) == pytest.approx(1.0)
    for _ in range(20):
        other = rotation_from_vector(rng.normal(0, 0.3, 3)) @ nearest
        assert np.linalg.norm(matrix - nearest) <= np.linalg.norm(matrix - other) + 1e-12


@given(seed=seeds)
def test_a_rotation_is_its_own_nearest(seed: int) -> None:
    rotation = rotation_from_vector(np.random.default_rng(seed).standard_normal(3))
    np.testing.assert_allclose(nearest_rotation(rotation), rotation, atol=1e-12)
    np.testing.assert_allclose(nearest_rotation(3.0 * rotation), rotation, atol=1e-12)


@given(seed=seeds, slope=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)))
def test_inverse_depth_of_a_plane_is_linear_and_its_depth_read_to_second_order(
    seed: int, slope: tuple[float, float]
) -> None:
    """A plane is linear in 1/z, not in z: over one pixel the difference is far below a hundredth of a
    millimetre.
    """
    camera = PinholeCamera(width=120, height=100, fx=400.0, fy=380.0, cx=60.0, cy=49.0)
    normal = np.array([*slope, 1.0])
    depth = depth_of_plane(camera, normal, 600.0)
    pixels = np.random.default_rng(seed).uniform([0, 0], [118.9, 98.9], (50, 2))
    rays = camera.rays(pixels)
    exact = 600.0 / (rays @ normal)
    got, seen = depth_at(
        depth, camera, rays * 500.0
    )  # any point of the line of sight asks for the same pixel
    assert seen.all()
    np.testing.assert_allclose(got, exact, atol=5e-3)


@given(seed=seeds)
def test_bilinear_reading_is_exact_where_depth_is_bilinear(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera = PinholeCamera(width=50, height=40, fx=300.0, fy=300.0, cx=25.0, cy=20.0)
    v, u = np.mgrid[0:40, 0:50].astype(float)
    a, b, c = rng.uniform(-1, 1, 3)
    depth = 600.0 + a * u + b * v + 0.02 * c * u * v
    pixels = rng.uniform([0, 0], [48.9, 38.9], (40, 2))
    got, seen = depth_at(depth, camera, camera.rays(pixels) * 650.0)
    assert seen.all()
    x, y = pixels.T
    np.testing.assert_allclose(got, 600.0 + a * x + b * y + 0.02 * c * x * y, atol=1e-8)


@given(seed=seeds, turn=st.tuples(small, small, small))
def test_normals_turn_with_the_mesh_and_do_not_move_with_it(
    seed: int, turn: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(subdivisions=1, radius=30.0)
    vertices = np.asarray(ball.vertices) + rng.normal(0, 2, (len(ball.vertices), 3))
    mesh = Mesh(vertices, np.asarray(ball.faces, dtype=np.int64))
    rotation = rotation_from_vector(np.array(turn))
    moved = Mesh(mesh.vertices @ rotation.T + rng.normal(0, 50, 3), mesh.triangles)
    np.testing.assert_allclose(moved.vertex_normals(), mesh.vertex_normals() @ rotation.T, atol=1e-6)
