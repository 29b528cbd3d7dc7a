"""FLAME: a head as template, shape and expression bases, pose correctives and linear blend skinning.

Formulas: Li, Bolkart, Black, Li, Romero, "Learning a model of facial shape and expression from 4D scans"
(SIGGRAPH Asia 2017), section 3, equations 1 to 5, and the kinematic chain of Loper et al., "SMPL"
(SIGGRAPH Asia 2015), equations 2 to 4. Meters; x to the subject's left, y up, z out of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

JOINTS: Final = 5
"""Root, neck, jaw, left eye, right eye."""
IDENTITY_MODES: Final = 100
EXPRESSION_MODES: Final = 50
ROOT, NECK, JAW, LEFT_EYE, RIGHT_EYE = range(JOINTS)


@dataclass(frozen=True)
class Flame:
    """The model's arrays; V vertices, F triangles.

    template: (V, 3). shape_basis: (V, 3, 150), 100 identity modes and 50 expressions. pose_basis:
    (V, 3, 36), moved by the nine entries of R - I of each joint but the root. joint_regressor: (5, V).
    parents: (5,), -1 for the root; a parent comes before its children. weights: (V, 5), rows sum to 1.
    triangles: (F, 3).
    """

    template: Floats
    shape_basis: Floats
    pose_basis: Floats
    joint_regressor: Floats
    parents: Ints
    weights: Floats
    triangles: Ints

    def __post_init__(self) -> None:
        count = len(self.template)
        wanted = {
            "template": (count, 3),
            "shape_basis": (count, 3, IDENTITY_MODES + EXPRESSION_MODES),
            "pose_basis": (count, 3, 9 * (JOINTS - 1)),
            "joint_regressor": (JOINTS, count),
            "parents": (JOINTS,),
            "weights": (count, JOINTS),
            "triangles": (len(self.triangles), 3),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"FLAME's {name} must have the shape {shape}, not {getattr(self, name).shape}"
                )
        if not (self.parents[0] == -1 and all(-1 < p < i for i, p in enumerate(self.parents[1:], start=1))):
            raise ValueError(f"FLAME's parents must form a tree from joint 0, not {self.parents.tolist()}")
        if len(self.triangles) and not 0 <= self.triangles.min() <= self.triangles.max() < count:
            raise ValueError("a triangle of FLAME names a vertex that does not exist")

    def neutral(self, shape: Floats) -> Floats:
        """(V, 3): the identity alone, expression and pose zero. shape: (K,) with K of at most 100."""
        return self.template + self.shape_basis[:, :, : len(shape)] @ shape

    def posed(
        self, shape: Floats, expression: Floats, *, root: Floats, jaw: Floats, neck: Floats | None = None,
        eyes: tuple[Floats, Floats] | None = None,
    ) -> Floats:  # fmt: skip
        """(V, 3) vertices with expression and pose.

        shape (100,), expression (50,); root, jaw, neck and each of eyes: rotation vectors (3,) in radians,
        relative to the parent joint.
        """
        zero = np.zeros(3)
        left, right = eyes if eyes is not None else (zero, zero)
        turns = [rotation(v) for v in (root, zero if neck is None else neck, jaw, left, right)]
        shaped = self.template + self.shape_basis @ np.concatenate([shape, expression])
        joints = self.joint_regressor @ shaped
        bent = np.concatenate([(turn - np.eye(3)).reshape(9) for turn in turns[1:]])
        corrected = shaped + self.pose_basis @ bent
        matrices, offsets = self._motions(turns, joints)
        # Each vertex moves by the weighted mean of the joints' motions (equation 2), written as a change: no
        # pose moves nothing, to the last bit.
        change = np.einsum("vj,jab->vab", self.weights, matrices - np.eye(3))
        return corrected + np.einsum("vab,vb->va", change, corrected) + self.weights @ offsets

    def _motions(self, turns: list[Floats], joints: Floats) -> tuple[Floats, Floats]:
        """Rotation M (5, 3, 3) and offset o (5, 3) of each joint's motion from rest, x -> M x + o.

        A joint at j stays where its parent carries it: M j + o = M_parent j + o_parent.
        """
        matrices: list[Floats] = []
        offsets: list[Floats] = []
        for joint, turn in enumerate(turns):
            parent = int(self.parents[joint])
            matrix = turn if parent < 0 else matrices[parent] @ turn
            before = np.eye(3) if parent < 0 else matrices[parent]
            moved = np.zeros(3) if parent < 0 else offsets[parent]
            matrices.append(matrix)
            offsets.append((before - matrix) @ joints[joint] + moved)
        return np.stack(matrices), np.stack(offsets)


def rotation(vector: Floats) -> Floats:
    """The matrix of a rotation vector; its angle is taken as |v + 1e-8|, as in training."""
    angle = float(np.linalg.norm(vector + 1e-8))
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
