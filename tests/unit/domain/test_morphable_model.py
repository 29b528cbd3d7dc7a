from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.domain.morphable_model import LinearPoints, MorphableModel

RNG = np.random.default_rng(4)
POINTS = LinearPoints(
    RNG.normal(0, 50, (8, 3)),
    RNG.standard_normal((8, 3, 5)),
    RNG.standard_normal((8, 3, 2)),
    np.tile([0, 0, 1.0], (8, 1)),
)
MODEL = MorphableModel(
    "small", "test/5", POINTS, np.array([[0, 1, 2], [3, 4, 5]]), np.array([0, 6]), np.array([True, False])
)


def test_positions_are_linear_in_the_coefficients() -> None:
    a, b = RNG.standard_normal((2, 5))
    e, f = RNG.standard_normal((2, 2))
    moved = POINTS.positions(2 * a - 3 * b, 2 * e - 3 * f) - POINTS.mean
    apart = 2 * (POINTS.positions(a, e) - POINTS.mean) - 3 * (POINTS.positions(b, f) - POINTS.mean)
    np.testing.assert_allclose(moved, apart, atol=1e-10)


def test_a_unit_coefficient_moves_by_its_mode() -> None:
    for k in range(5):
        np.testing.assert_allclose(POINTS.positions(np.eye(5)[k]) - POINTS.mean, POINTS.identity[:, :, k])
    for k in range(2):
        shown = POINTS.positions(np.zeros(5), np.eye(2)[k])
        np.testing.assert_allclose(shown - POINTS.mean, POINTS.expression[:, :, k])


def test_no_expression_is_the_neutral_one() -> None:
    a = RNG.standard_normal(5)
    np.testing.assert_array_equal(POINTS.positions(a), POINTS.positions(a, np.zeros(2)))


@pytest.mark.parametrize("rows", [np.array([5, 1, 1]), np.arange(8) % 2 == 0], ids=["indices", "mask"])
def test_chosen_points_move_as_they_did(rows: np.ndarray) -> None:
    a, e = RNG.standard_normal(5), RNG.standard_normal(2)
    np.testing.assert_allclose(POINTS.take(rows).positions(a, e), POINTS.positions(a, e)[rows])


def test_points_on_triangles_move_as_the_triangles_do() -> None:
    a, e = RNG.standard_normal(5), RNG.standard_normal(2)
    corners, weights = np.array([[0, 3, 5], [7, 1, 2]]), np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    between = POINTS.between(corners, weights)
    expected = np.einsum("mb,mbc->mc", weights, POINTS.positions(a, e)[corners])
    np.testing.assert_allclose(between.positions(a, e), expected, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(between.normals, axis=1), 1.0)


def test_a_mesh_of_the_model_has_its_positions_and_triangles() -> None:
    a = RNG.standard_normal(5)
    np.testing.assert_array_equal(MODEL.mesh(a).vertices, POINTS.positions(a))
    np.testing.assert_array_equal(MODEL.mesh(a).triangles, MODEL.triangles)
    assert (MODEL.identity_modes, MODEL.expression_modes, len(MODEL.vertices)) == (5, 2, 8)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.zeros((7, 3))},
        {"identity": np.zeros((8, 5))},
        {"identity": np.full((8, 3, 5), np.inf)},
        {"expression": np.zeros((7, 3, 2))},
        {"normals": np.zeros((8, 2))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_bases_that_do_not_fit_the_mean_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        replace(POINTS, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"triangles": np.array([[0, 1, 8]])},
        {"triangles": np.array([[0, -1, 2]])},
        {"triangles": np.array([0, 1, 2])},
        {"surface": np.array([0, 8])},
        {"surface": np.array([-1])},
    ],
    ids=str,
)
def test_indices_beyond_the_vertices_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        replace(MODEL, **change)
