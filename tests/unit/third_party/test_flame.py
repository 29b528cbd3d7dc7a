"""FLAME against a second implementation, written with 4 x 4 matrices one vertex at a time, and against what
must hold of any skinned head."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.heads import flame
from third_party.deca.flame import JAW, LEFT_EYE, NECK, ROOT, Flame, rotation

HEAD = flame()
ZERO = np.zeros(3)
SHAPE, EXPRESSION = np.zeros(100), np.zeros(50)


def straightforward(
    head: Flame, shape: np.ndarray, expression: np.ndarray, turns: list[np.ndarray]
) -> np.ndarray:
    """Equations 1 to 5 of the FLAME paper as they stand."""

    def homogeneous(matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
        out = np.eye(4)
        out[:3, :3], out[:3, 3] = matrix, offset
        return out

    matrices = [Rotation.from_rotvec(t).as_matrix() for t in turns]
    rest = head.template.copy()
    for k, value in enumerate([*shape, *expression]):
        rest += value * head.shape_basis[:, :, k]
    joints = np.array([sum(w * v for w, v in zip(row, rest, strict=True)) for row in head.joint_regressor])
    features = [entry for m in matrices[1:] for row in m - np.eye(3) for entry in row]
    corrected = rest.copy()
    for k, value in enumerate(features):
        corrected += value * head.pose_basis[:, :, k]
    worlds: list[np.ndarray] = []
    for j, parent in enumerate(head.parents):
        if parent < 0:
            worlds.append(homogeneous(matrices[j], joints[j]))
        else:
            worlds.append(worlds[parent] @ homogeneous(matrices[j], joints[j] - joints[parent]))
    from_rest = [w @ homogeneous(np.eye(3), -joint) for w, joint in zip(worlds, joints, strict=True)]
    out = np.empty_like(rest)
    for v, point in enumerate(corrected):
        blended = sum(head.weights[v, j] * from_rest[j] for j in range(5))
        out[v] = (blended @ [*point, 1.0])[:3]
    return out


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_a_second_implementation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, expression = rng.normal(size=100), rng.normal(size=50)
    turns = list(rng.normal(size=(5, 3)))
    got = HEAD.posed(shape, expression, root=turns[0], neck=turns[1], jaw=turns[2], eyes=(turns[3], turns[4]))
    # Angles differ by the 1e-8 that training adds inside the norm.
    np.testing.assert_allclose(got, straightforward(HEAD, shape, expression, turns), atol=1e-8)


def test_zero_gives_the_template_exactly() -> None:
    np.testing.assert_array_equal(HEAD.posed(SHAPE, EXPRESSION, root=ZERO, jaw=ZERO), HEAD.template)
    np.testing.assert_array_equal(HEAD.neutral(SHAPE), HEAD.template)
    np.testing.assert_array_equal(rotation(ZERO), np.eye(3))


def test_the_shape_alone_is_linear_and_the_posed_head_without_pose() -> None:
    shape = np.random.default_rng(1).normal(size=100)
    neutral = HEAD.neutral(shape)
    np.testing.assert_allclose(neutral, HEAD.posed(shape, EXPRESSION, root=ZERO, jaw=ZERO), atol=1e-15)
    np.testing.assert_allclose(
        neutral - HEAD.template, (HEAD.neutral(2 * shape) - HEAD.template) / 2, atol=1e-15
    )


@settings(max_examples=20)
@given(st.tuples(*[st.floats(-3, 3)] * 3))
def test_turning_the_root_is_a_rigid_motion(vector: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(2)
    shape, expression, jaw = rng.normal(size=100), rng.normal(size=50), rng.normal(size=3)
    root = np.array(vector)
    still = HEAD.posed(shape, expression, root=ZERO, jaw=jaw)
    turned = HEAD.posed(shape, expression, root=root, jaw=jaw)
    joint = HEAD.joint_regressor[ROOT] @ (
        HEAD.template + HEAD.shape_basis @ np.concatenate([shape, expression])
    )
    np.testing.assert_allclose(turned, (still - joint) @ rotation(root).T + joint, atol=1e-12)


def test_a_jaw_moves_only_what_hangs_on_it() -> None:
    """Without pose correctives, vertices without weight on the jaw stay; with them, only by these."""
    bare = Flame(**{**vars(HEAD), "pose_basis": np.zeros_like(HEAD.pose_basis)})
    jaw = np.array([0.3, 0.05, -0.1])
    moved = np.linalg.norm(bare.posed(SHAPE, EXPRESSION, root=ZERO, jaw=jaw) - bare.template, axis=1)
    assert (moved[bare.weights[:, JAW] == 0] < 1e-15).all()
    assert np.median(moved[bare.weights[:, JAW] > 0.5]) > 1e-3
    free = bare.weights[:, JAW] == 0
    corrected = HEAD.posed(SHAPE, EXPRESSION, root=ZERO, jaw=jaw) - HEAD.template
    expected = HEAD.pose_basis[:, :, 9:18] @ (rotation(jaw) - np.eye(3)).reshape(9)
    np.testing.assert_allclose(corrected[free], expected[free], atol=1e-15)


def test_a_vertex_on_one_joint_is_moved_rigidly() -> None:
    weights = np.zeros_like(HEAD.weights)
    rows = np.arange(len(weights)) % 5
    weights[np.arange(len(weights)), rows] = 1.0
    rigid = Flame(**{**vars(HEAD), "weights": weights, "pose_basis": np.zeros_like(HEAD.pose_basis)})
    turns = np.random.default_rng(4).normal(size=(5, 3))
    out = rigid.posed(
        SHAPE, EXPRESSION, root=turns[0], neck=turns[1], jaw=turns[2], eyes=(turns[3], turns[4])
    )
    for joint in (ROOT, NECK, JAW, LEFT_EYE):
        a, b = rigid.template[rows == joint], out[rows == joint]
        before = np.linalg.norm(a[:, None] - a[None], axis=-1)
        np.testing.assert_allclose(np.linalg.norm(b[:, None] - b[None], axis=-1), before, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", HEAD.weights[:, :4]),
        ("shape_basis", HEAD.shape_basis[:, :, :100]),
        ("joint_regressor", HEAD.joint_regressor.T),
        ("parents", np.array([-1, 0, 3, 1, 1])),
        ("triangles", HEAD.triangles + len(HEAD.template)),
    ],
)
def test_arrays_that_are_no_flame_are_refused(name: str, value: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"FLAME"):
        Flame(**{**vars(HEAD), name: value})
