from __future__ import annotations

import numpy as np
import pytest
import trimesh

from recon_service.domain.errors import InvalidValue
from recon_service.domain.mesh import Mesh


def test_normals_of_a_ball_point_away_from_its_center() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=80.0)
    mesh = Mesh(np.asarray(ball.vertices), np.asarray(ball.faces, dtype=np.int64))
    normals = mesh.vertex_normals()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)
    assert np.einsum("ni,ni->n", normals, mesh.vertices / 80.0).min() > np.cos(np.deg2rad(1.0))


def test_large_triangles_count_more() -> None:
    """Two triangles at a right angle, one of three times the area: their normals weigh 3 : 1."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 3, 0], [0, 0, 1.0]])
    mesh = Mesh(vertices, np.array([[0, 1, 2], [0, 3, 1]]))
    expected = np.array([0.0, 1.0, 3.0]) / np.sqrt(10.0)
    np.testing.assert_allclose(mesh.vertex_normals()[0], expected)


def test_a_vertex_without_triangles_has_no_normal() -> None:
    mesh = Mesh(np.arange(12.0).reshape(4, 3) ** 2, np.array([[0, 1, 2]]))
    np.testing.assert_array_equal(mesh.vertex_normals()[3], 0.0)


def test_turning_a_triangle_over_turns_its_normals() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]])
    up, down = (Mesh(vertices, np.array([t])).vertex_normals() for t in ([0, 1, 2], [0, 2, 1]))
    np.testing.assert_allclose(up, [[0, 0, 1]] * 3)
    np.testing.assert_allclose(down, -up)


@pytest.mark.parametrize(
    ("vertices", "triangles"),
    [
        (np.zeros((3, 2)), np.array([[0, 1, 2]])),
        (np.full((3, 3), np.nan), np.array([[0, 1, 2]])),
        (np.zeros((3, 3)), np.array([[0, 1, 3]])),
        (np.zeros((3, 3)), np.array([[0, 1, -1]])),
        (np.zeros((3, 3)), np.array([[0, 1]])),
    ],
)
def test_what_is_no_mesh_is_refused(vertices: np.ndarray, triangles: np.ndarray) -> None:
    with pytest.raises(InvalidValue):
        Mesh(vertices, triangles)
