"""FaceVerse's head: mean + identity basis · id + expression basis · ex, with eyeballs that turn.

The model's unit is a tenth of a meter (the file holds millimeters; they are divided by 100), and its
frame is that of the camera up to the pose: a pose of zero projects without turning an axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from third_party.faceverse.layout import EXPRESSION_MODES, IDENTITY_MODES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MILLIMETERS_PER_UNIT = 100.0


@dataclass(frozen=True)
class FaceVerse:
    """The model's arrays; V vertices, F triangles. Model units.

    mean: (V, 3). identity_basis: (V, 3, 156). expression_basis: (V, 3, 177). triangles: (F, 3).
    landmarks: (68,) vertices of the 68 landmarks. parts: (6,) ends of the parts in the order of the
    vertices; parts[0]:parts[1] is the left eyeball, parts[1]:parts[2] the right one, parts[2]:parts[5] teeth
    and tongue, what comes before is skin. mouth: (2,) vertices of lip and teeth whose distance in z is kept
    as in the mean, or (-1, -1) for none. face: (V,) True on the face proper.
    """

    mean: Floats
    identity_basis: Floats
    expression_basis: Floats
    triangles: Ints
    landmarks: Ints
    parts: Ints
    mouth: Ints
    face: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.mean)
        wanted = {
            "mean": (count, 3),
            "identity_basis": (count, 3, IDENTITY_MODES),
            "expression_basis": (count, 3, EXPRESSION_MODES),
            "triangles": (len(self.triangles), 3),
            "landmarks": (68,),
            "parts": (6,),
            "mouth": (2,),
            "face": (count,),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"FaceVerse's {name} must have the shape {shape}, not {getattr(self, name).shape}"
                )
        if not 0 <= self.landmarks.min() <= self.landmarks.max() < count:
            raise ValueError("a landmark of FaceVerse names a vertex that does not exist")
        if len(self.triangles) and not 0 <= self.triangles.min() <= self.triangles.max() < count:
            raise ValueError("a triangle of FaceVerse names a vertex that does not exist")
        if not (self.parts[0] >= 0 and (np.diff(self.parts) >= 0).all() and self.parts[-1] <= count):
            raise ValueError(
                f"the parts of FaceVerse must be growing vertex numbers, not {self.parts.tolist()}"
            )

    def neutral(self, identity: Floats) -> Floats:
        """(V, 3): the identity alone, expression zero and eyes ahead."""
        return self.shaped(identity, np.zeros(EXPRESSION_MODES), np.zeros(4))

    def shaped(self, identity: Floats, expression: Floats, eyes: Floats) -> Floats:
        """(V, 3) vertices before the pose. eyes: as in ``FaceVerseCode``."""
        vertices = self.mean + self.identity_basis @ identity + self.expression_basis @ expression
        centers = self.mean + self.identity_basis @ identity
        for eye, angles in ((0, eyes[:2]), (1, eyes[2:])):
            ball = slice(int(self.parts[eye]), int(self.parts[eye + 1]))
            if ball.stop > ball.start:
                center = centers[ball].mean(axis=0)
                turn = turns_y(angles[1]) @ turns_x(angles[0])
                vertices[ball] = (vertices[ball] - center) @ turn.T + center
        lip, teeth = (int(v) for v in self.mouth)
        if lip >= 0 and teeth >= 0:
            inner = slice(int(self.parts[2]), int(self.parts[5]))
            wanted = self.mean[teeth, 2] - self.mean[lip, 2]
            vertices[inner, 2] += wanted - (vertices[teeth, 2] - vertices[lip, 2])
        return vertices


def head_rotation(angles: Floats) -> Floats:
    """Rotation (3, 3) of model to camera, x_camera = R x + t: first about x, then y, then z (radians)."""
    return turns_z(angles[2]) @ turns_y(angles[1]) @ turns_x(angles[0])


def turns_x(angle: float) -> Floats:
    """Rotation about x."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def turns_y(angle: float) -> Floats:
    """Rotation about y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def turns_z(angle: float) -> Floats:
    """Rotation about z."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
