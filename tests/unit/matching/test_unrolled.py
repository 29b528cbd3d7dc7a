"""The model's skin as a flat grid."""

from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.pose import HeadPose
from recon_service.matching.unrolled import AXIS_Z, NODE_STEP, RADIUS, UnrolledSkin
from tests.observations import builtin_model

MODEL = builtin_model()


@pytest.fixture(scope="module")
def skin() -> UnrolledSkin:
    return UnrolledSkin.of(MODEL, 1.5)


def test_nodes_lie_on_the_skin_of_the_model(skin: UnrolledSkin) -> None:
    rng = np.random.default_rng(0)
    identity, expression = rng.standard_normal(60), 0.3 * rng.standard_normal(25)
    corners = MODEL.mesh(identity, expression).vertices[MODEL.triangles[skin.triangles]]
    wanted = np.einsum("nb,nbc->nc", skin.barycentric, corners)
    np.testing.assert_allclose(skin.posed(skin.neutral(identity), expression), wanted, atol=1e-3)
    assert MODEL.skin[skin.triangles].all()
    np.testing.assert_allclose(skin.barycentric.sum(axis=1), 1.0)
    assert skin.barycentric.min() > -1e-6


def test_a_row_is_a_height_and_a_column_an_angle(skin: UnrolledSkin) -> None:
    x, y, z = skin.posed(skin.neutral(np.zeros(60)), np.zeros(25)).T
    step = skin.texel_mm * NODE_STEP
    np.testing.assert_allclose(y, y[0] + (skin.rows[0] - skin.rows) * step, atol=1e-3)
    angle = np.arctan2(x, z - AXIS_Z)
    np.testing.assert_allclose(angle, angle[0] + (skin.columns - skin.columns[0]) * step / RADIUS, atol=1e-4)


def test_normals_are_those_of_the_surface_and_turn_with_it(skin: UnrolledSkin) -> None:
    points = skin.posed(skin.neutral(np.zeros(60)), np.zeros(25))
    corners = MODEL.vertices.mean[MODEL.triangles[skin.triangles]]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    found = skin.normals(points)
    known = np.linalg.norm(found, axis=1) > 0
    assert known.mean() > 0.8
    np.testing.assert_allclose(np.linalg.norm(found[known], axis=1), 1.0, atol=1e-9)
    agreement = np.einsum("nc,nc->n", found, flat)[known]
    assert np.median(agreement) > 0.99
    assert (agreement > 0.5).mean() > 0.98
    pose = HeadPose.from_angles(yaw=25.0, pitch=-10.0, roll=5.0, translation=np.array([0.0, 0.0, 500.0]))
    np.testing.assert_allclose(skin.normals(pose.apply(points)), found @ pose.rotation.T, atol=1e-9)


def test_spreading_leaves_the_nodes_as_they_are(skin: UnrolledSkin) -> None:
    values = np.random.default_rng(1).standard_normal((len(skin.rows), 2))
    spread = skin.spread(values)
    assert spread.shape == (*skin.shape, 2)
    rows, columns = skin.texels
    np.testing.assert_allclose(spread[rows, columns], values, atol=1e-6)
    between = (skin.node_shape[1] - 1) * NODE_STEP + 1
    assert spread.shape[1] == between
