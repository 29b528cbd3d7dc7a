"""Registration: partners are the same skin, whatever frame, scale and triangles the other mesh has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.domain.errors import InvalidValue, WeightsUnavailable
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import rotation_from_vector
from recon_service.domain.similarity import best_similarity
from recon_service.registration import Correspondence, register
from recon_service.registration.closest import ClosestPoints, barycentric_of_closest
from recon_service.registration.correspondence import load_correspondence
from tests.observations import builtin_model

MODEL = builtin_model()
# Any 68 points of the face will do; the first 17 are taken for the outline and seed nothing.
LANDMARKS = np.random.default_rng(0).permutation(MODEL.surface)[:68]


def subdivided(mesh: Mesh) -> Mesh:
    """Every triangle in four: other triangles, the same surface."""
    edges = np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]])
    unique, number = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True)
    middles = mesh.vertices[unique].mean(axis=1)
    ab, bc, ca = number.reshape(3, -1) + len(mesh.vertices)
    a, b, c = mesh.triangles.T
    triangles = np.concatenate(
        [np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    return Mesh(np.concatenate([mesh.vertices, middles]), triangles)


def other_face(seed: int) -> tuple[Mesh, np.ndarray, np.ndarray]:
    """A face in a frame and at a scale of its own, its landmarks, and where every vertex truly lies."""
    rng = np.random.default_rng(seed)
    identity = 0.7 * rng.standard_normal(MODEL.identity_modes)
    turn = rotation_from_vector(rng.uniform(-2, 2, 3))
    face = MODEL.mesh(identity)
    moved = 37.0 * face.vertices @ turn.T + rng.uniform(-1e3, 1e3, 3)
    return subdivided(Mesh(moved, face.triangles)), moved[LANDMARKS], moved


def test_partners_are_the_same_skin() -> None:
    mesh, landmarks, truth = other_face(1)
    pairs, report = register(MODEL, LANDMARKS, mesh, landmarks, check=False)
    away = np.linalg.norm(pairs.points_on(mesh) - truth[pairs.vertices], axis=1) / 37.0
    assert np.median(away) < 0.5
    assert np.percentile(away, 90) < 2.0
    assert report.median < 0.2
    assert report.kept > 0.9


def test_frame_and_scale_of_the_other_mesh_do_not_matter() -> None:
    mesh, landmarks, _ = other_face(2)
    turn = rotation_from_vector(np.array([0.4, -1.0, 2.0]))
    first, _ = register(MODEL, LANDMARKS, mesh, landmarks, check=False)
    moved = Mesh(0.01 * mesh.vertices @ turn.T + 5.0, mesh.triangles)
    second, _ = register(MODEL, LANDMARKS, moved, 0.01 * landmarks @ turn.T + 5.0, check=False)
    both = np.intersect1d(first.vertices, second.vertices)
    assert len(both) > 0.99 * len(first.vertices)
    positions = [
        pairs.points_on(mesh)[np.searchsorted(pairs.vertices, both)] / 37.0 for pairs in (first, second)
    ]
    assert np.percentile(np.linalg.norm(positions[0] - positions[1], axis=1), 99) < 0.05


def test_landmarks_that_do_not_fit_are_refused() -> None:
    mesh, landmarks, _ = other_face(3)
    with pytest.raises(InvalidValue, match="68"):
        register(MODEL, LANDMARKS[:67], mesh, landmarks)
    with pytest.raises(InvalidValue):
        register(MODEL, LANDMARKS, mesh, np.zeros((68, 3)))


def test_a_correspondence_is_kept_in_a_file(tmp_path: Path) -> None:
    mesh, landmarks, _ = other_face(4)
    pairs, _ = register(MODEL, LANDMARKS, mesh, landmarks, check=False)
    path = tmp_path / "pairs.npz"
    path.write_bytes(pairs.content())
    back = load_correspondence(path, command="make it")
    np.testing.assert_allclose(back.points_on(mesh), pairs.points_on(mesh), rtol=1e-4, atol=1e-2)
    assert back.model == MODEL.name
    with pytest.raises(InvalidValue, match="another mesh"):
        back.points_on(MODEL.mesh(np.zeros(MODEL.identity_modes)))
    path.write_bytes(b"no file")
    with pytest.raises(WeightsUnavailable, match="make it"):
        load_correspondence(path, command="make it")
    with pytest.raises(InvalidValue):
        Correspondence("m", np.arange(1), np.array([5]), np.ones((1, 3)), np.ones(1), 3, 5)


@settings(max_examples=30)
@given(st.integers(0, 2**31))
def test_the_closest_point_of_a_triangle_is_closest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners, points = rng.standard_normal((20, 3, 3)), 2 * rng.standard_normal((20, 3))
    weights = barycentric_of_closest(points, corners)
    assert weights.min() >= -1e-12
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    best = np.linalg.norm(np.einsum("nb,nbc->nc", weights, corners) - points, axis=1)
    tried = rng.dirichlet(np.ones(3) * 0.5, (300, 20))
    others = np.linalg.norm(np.einsum("tnb,nbc->tnc", tried, corners) - points, axis=2)
    assert (others.min(axis=0) >= best - 1e-9).all()


def test_points_on_a_mesh_find_themselves() -> None:
    mesh = MODEL.mesh(np.zeros(MODEL.identity_modes))
    rng = np.random.default_rng(5)
    triangles = rng.integers(len(mesh.triangles), size=200)
    points = np.einsum("nb,nbc->nc", rng.dirichlet(np.ones(3), 200), mesh.vertices[mesh.triangles[triangles]])
    found = ClosestPoints(mesh).of(points)
    assert found.distance.max() < 1e-9


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.floats(1e-3, 1e3))
def test_a_similarity_is_found_again(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((30, 3))
    turn = rotation_from_vector(rng.uniform(-3, 3, 3))
    target = scale * points @ turn.T + rng.uniform(-10, 10, 3)
    found = best_similarity(points, target, rng.uniform(0.1, 1, 30))
    np.testing.assert_allclose(found.apply(points), target, atol=1e-9 * max(1, scale))
    assert np.linalg.det(found.rotation) == pytest.approx(1)
