from __future__ import annotations

from pathlib import Path

import numpy as np

from recon_service.canonical_model.ict import reduced_expressions
from recon_service.canonical_model.space import EXPRESSION_SD
from recon_service.canonical_model.surface import near_border, spread_points
from recon_service.domain.mesh import Mesh
from tests.observations import dense_model


def test_reduced_expressions_keep_the_covariance_of_the_originals() -> None:
    """Unit coefficients of the directions give the positions the same covariance as independent originals."""
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((6, 10, 3))  # fewer than kept: nothing is lost
    flat, reduced = basis.reshape(6, -1), reduced_expressions(basis).reshape(6, -1)
    np.testing.assert_allclose(reduced.T @ reduced, EXPRESSION_SD**2 * flat.T @ flat, atol=1e-10)


def test_directions_are_orthogonal_and_sorted_by_variance(weights_mirror: Path) -> None:
    basis = dense_model(weights_mirror).vertices.expression
    flat = basis.reshape(-1, basis.shape[2])
    gram = flat.T @ flat
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-6 * gram.max())
    assert (np.diff(np.diag(gram)) <= 0).all()


def grid(side: int) -> Mesh:
    v, u = np.mgrid[0:side, 0:side].astype(np.float64)
    corner = np.arange(side * side).reshape(side, side)
    a, b, c, d = (
        corner[:-1, :-1].ravel(),
        corner[:-1, 1:].ravel(),
        corner[1:, :-1].ravel(),
        corner[1:, 1:].ravel(),
    )
    vertices = np.stack([u.ravel(), v.ravel(), np.zeros(side * side)], axis=1)
    return Mesh(vertices, np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)]))


def test_two_rings_along_a_border_are_left_out() -> None:
    mesh = grid(9)
    inside = ~near_border(mesh.triangles, 81).reshape(9, 9)
    expected = np.zeros((9, 9), dtype=bool)
    expected[3:6, 3:6] = True
    np.testing.assert_array_equal(inside, expected)


def test_a_closed_surface_has_no_border() -> None:
    tetrahedron = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    assert not near_border(tetrahedron, 4).any()


def test_points_are_spread_and_the_same_every_time() -> None:
    mesh = grid(21)
    normals = np.tile([0.0, 0.0, 1.0], (441, 1))
    chosen = spread_points(mesh.vertices, mesh.triangles, normals, narrow=441, count=25)
    np.testing.assert_array_equal(
        chosen, spread_points(mesh.vertices, mesh.triangles, normals, narrow=441, count=25)
    )
    points = mesh.vertices[chosen]
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(25)
    # 25 points on 15 x 15 units: a random choice would leave some pair side by side.
    assert distance.min() >= 2.0
    every = spread_points(mesh.vertices, mesh.triangles, normals, narrow=441, count=10_000)
    assert len(every) == 15 * 15, "not more than there are"


def test_the_dense_model_looks_at_skin_only(weights_mirror: Path) -> None:
    model = dense_model(weights_mirror)
    assert len(model.surface) == 1200
    assert len(set(model.surface)) == 1200
    assert not near_border(model.triangles, len(model.vertices))[model.surface].any()
    assert model.vertices.normals[model.surface, 2].min() > 0.15


def test_normals_of_the_dense_model_are_those_of_its_mean(weights_mirror: Path) -> None:
    model = dense_model(weights_mirror)
    np.testing.assert_allclose(model.vertices.normals, model.mesh(np.zeros(60)).vertex_normals(), atol=1e-6)
