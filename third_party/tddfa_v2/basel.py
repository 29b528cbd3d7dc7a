"""The Basel model's points, linear in the coefficients, and where a picture shows them. numpy.

Micrometers, x to the subject's left, y up, z out of the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from third_party.tddfa_v2.parameters import Parameters
from third_party.tddfa_v2.region import SIDE


@dataclass(frozen=True)
class LinearShape:
    """mean: (N, 3) float32 micrometers. identity: (N, 3, 40). expression: (N, 3, 10)."""

    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray

    def points(self, identity: np.ndarray, expression: np.ndarray | None = None) -> np.ndarray:
        """(N, 3) micrometers; expression None: neutral."""
        count = len(self.mean)
        moved = self.identity.reshape(3 * count, -1) @ identity
        if expression is not None:
            moved = moved + self.expression.reshape(3 * count, -1) @ expression
        return np.asarray(self.mean + moved.reshape(count, 3))

    def moved(self, points: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Neutral points (N, 3) with an expression."""
        return points + (self.expression.reshape(points.size, -1) @ expression).reshape(points.shape)

    def at(self, rows: np.ndarray) -> LinearShape:
        """Some of the points."""
        return LinearShape(self.mean[rows], self.identity[rows], self.expression[rows])


def in_picture(points: np.ndarray, parameters: Parameters, region: np.ndarray) -> np.ndarray:
    """(N, 3) of points (N, 3) micrometers: x right, y down in pixels of the picture, z in pixels nearer.

    z counts from the farthest point.
    """
    crop = points @ parameters.camera[:, :3].T + parameters.translation
    left, top, right, bottom = region
    across, down = (right - left) / SIDE, (bottom - top) / SIDE
    x = (crop[:, 0] - 1) * across + left
    y = (SIDE - crop[:, 1]) * down + top
    z = (crop[:, 2] - 1) * (across + down) / 2
    return np.stack([x, y, z - z.min()], axis=1)
