from __future__ import annotations

import numpy as np
import pytest

from recon_service.canonical_model.space import IDENTITY_MODES
from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.geometry import raycast
from recon_service.simulation.population.anatomy import EYE_RADIUS_MM, Part, assembled, sample_hair
from recon_service.simulation.population.shape import (
    DenseBasis,
    HeadShape,
    sample_expression,
    sample_shape,
)
from recon_service.simulation.population.spec import ShapeSpec

HEADS = 40


def unexplained(basis: DenseBasis, vertices: Array) -> Array:
    """(narrow, 3) mm: what is left of the face (head frame) after the best fit by the mean, the modes of
    the canonical model and a small rigid motion, by unweighted least squares over corresponding vertices
    without a prior.

    The rotation is linearized at the mean; what the heads here need of it is far below a degree.
    """
    face = basis.mean[: basis.narrow]
    rigid = np.zeros((6, *face.shape))
    for axis in range(3):
        direction = np.eye(3)[axis]
        rigid[axis] = direction
        rigid[3 + axis] = np.cross(direction, face) / 100.0
    columns = np.concatenate([basis.identity[:IDENTITY_MODES, : basis.narrow].astype(np.float64), rigid])
    design = columns.reshape(len(columns), -1).T
    target = (vertices[: basis.narrow] - face).ravel()
    # Normal equations: the modes are orthogonal enough, and the residual is not sensitive.
    solution = np.linalg.solve(design.T @ design, design.T @ target)
    return np.asarray((target - design @ solution).reshape(-1, 3))


@pytest.fixture(scope="module")
def shapes(basis):
    return [sample_shape(basis, ShapeSpec(), np.random.default_rng([1, n])) for n in range(HEADS)]


def test_the_fitted_model_leaves_what_it_leaves_of_real_heads(basis, shapes):
    left = [
        float(np.sqrt((unexplained(basis, shape.vertices(basis)) ** 2).sum(axis=1).mean()))
        for shape in shapes
    ]
    assert min(left) > 0.6
    assert max(left) < 1.5
    assert 0.8 < np.mean(left) < 1.1


def test_nothing_is_left_of_the_model_itself_moved_a_little(basis):
    identity = np.zeros(100)
    identity[:60] = np.random.default_rng(0).standard_normal(60)
    head = [*HeadShape(identity, np.zeros_like(basis.mean)).vertices(basis), 3.0, -2.0, 5.0]
    assert np.abs(unexplained(basis, head)).max() < 1e-3


def test_the_last_modes_are_part_of_what_is_left(basis):
    identity = np.zeros(100)
    identity[60:] = np.random.default_rng(0).standard_normal(40)
    left = unexplained(basis, HeadShape(identity, np.zeros_like(basis.mean)).vertices(basis))
    assert 0.3 < np.sqrt((left**2).sum(axis=1).mean()) < 0.8


def test_identities_are_wider_than_the_prior_with_heavier_tails(shapes):
    leading = np.stack([shape.identity[:15] for shape in shapes])
    assert 1.1 < leading.std() < 1.3
    assert np.abs(leading).max() > 3.0


def test_faces_are_not_symmetric(basis, shapes):
    mirrored = basis.mean * [-1.0, 1.0, 1.0]
    partner = np.linalg.norm(mirrored[basis.ibug68][:, None] - basis.mean[None], axis=2).argmin(axis=1)
    sides = []
    for shape in shapes:
        head = shape.vertices(basis)
        sides.append(np.linalg.norm(head[basis.ibug68] * [-1.0, 1.0, 1.0] - head[partner], axis=1).mean())
    assert 0.5 < np.mean(sides) < 4.0


def test_expressions_are_small_and_differ(basis):
    drawn = np.stack([sample_expression(basis, np.random.default_rng(n)) for n in range(50)])
    assert drawn.min() >= 0
    assert drawn.max() <= 0.75
    moved = np.tensordot(drawn - drawn.mean(axis=0), basis.expression[:, : basis.narrow], 1)
    assert 0.3 < np.sqrt((moved**2).sum(axis=2).mean()) < 2.5
    still = sample_expression(basis, np.random.default_rng(0), strength=0.0)
    assert set(np.array(basis.names)[still > 0]) == {"eyeBlink_L", "eyeBlink_R"}


def test_the_figure_has_no_holes_and_keeps_the_skin_first(basis, shapes):
    camera = PinholeCamera(240, 320, 400.0, 400.0, 119.5, 159.5)
    pose = HeadPose.from_angles(yaw=20.0, pitch=0.0, roll=0.0, translation=np.array([0.0, 0.0, 500.0]))
    for number, shape in enumerate(shapes[:3]):
        neutral = shape.vertices(basis)
        hair = sample_hair(basis, np.random.default_rng(number))
        figure = assembled(basis, neutral, neutral, hair)
        np.testing.assert_array_equal(figure.mesh.vertices[: len(neutral)], neutral)
        hits = raycast(Mesh(pose.apply(figure.mesh.vertices), figure.mesh.triangles), camera)
        outline = camera.project(pose.apply(neutral[basis.ibug68[:27]]))
        inside = _hull(outline, camera)
        assert hits.mask[inside].all()
        seen = set(figure.part[hits.triangle[inside]])
        assert {Part.SKIN, Part.RIGHT_EYE, Part.LEFT_EYE} <= seen


def test_eyes_lie_behind_the_lids(basis, shapes):
    for shape in shapes[:10]:
        neutral = shape.vertices(basis)
        figure = assembled(basis, neutral, neutral, sample_hair(basis, np.random.default_rng(0)))
        for center, rim in zip(figure.eyes, basis.borders[:2], strict=True):
            distance = np.linalg.norm(neutral[rim] - center, axis=1)
            assert np.median(distance) > EYE_RADIUS_MM
            assert (distance < EYE_RADIUS_MM - 1.0).mean() < 0.1
        assert figure.eyes[0, 0] < 0 < figure.eyes[1, 0]


def _hull(points: np.ndarray, camera: PinholeCamera) -> np.ndarray:
    import cv2

    mask = np.zeros((camera.height, camera.width), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return cv2.erode(mask, np.ones((7, 7), np.uint8)) > 0
