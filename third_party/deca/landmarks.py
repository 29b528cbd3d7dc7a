"""68 landmarks on FLAME's surface: 17 along the contour that move with the yaw, and 51 fixed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CONTOUR: Final = 17
FIXED: Final = 51
MAX_YAW_DEGREES: Final = 39
YAW_ROWS: Final = 79
"""Row 0 to 39: yaw of so many degrees; row 39 + n: yaw of -n degrees, the last one for -39 and beyond."""


@dataclass(frozen=True)
class SurfacePoints:
    """Points inside triangles. faces: (…,) triangle numbers. barycentric: (…, 3) weights of the corners."""

    faces: NDArray[np.int64]
    barycentric: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.barycentric.shape != (*self.faces.shape, 3):
            raise ValueError(
                f"weights must have the shape {(*self.faces.shape, 3)}, not {self.barycentric.shape}"
            )

    def on(self, vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
        """The points (…, 3) on the surface of these vertices."""
        return np.einsum("...b,...bc->...c", self.barycentric, vertices[triangles[self.faces]])

    def row(self, index: int) -> SurfacePoints:
        """One row of a table of points."""
        return SurfacePoints(self.faces[index], self.barycentric[index])


@dataclass(frozen=True)
class LandmarkTable:
    """fixed: (51,) points. contour: (79, 17), a row per degree of yaw. full: (68,), for the frontal head."""

    fixed: SurfacePoints
    contour: SurfacePoints
    full: SurfacePoints

    def __post_init__(self) -> None:
        for name, shape in {
            "fixed": (FIXED,), "contour": (YAW_ROWS, CONTOUR), "full": (CONTOUR + FIXED,)
        }.items():  # fmt: skip
            if getattr(self, name).faces.shape != shape:
                raise ValueError(f"{name} landmarks must be {shape}, not {getattr(self, name).faces.shape}")

    def seen(
        self, vertices: NDArray[np.float64], triangles: NDArray[np.int64], yaw_degrees: float
    ) -> NDArray[np.float64]:
        """(68, 3) landmarks as a detector sees them: the contour is where the face ends in the picture."""
        contour = self.contour.row(contour_row(yaw_degrees)).on(vertices, triangles)
        return np.concatenate([contour, self.fixed.on(vertices, triangles)])


def contour_row(yaw_degrees: float) -> int:
    """The row of the contour's table for a yaw."""
    if yaw_degrees < -MAX_YAW_DEGREES:
        return YAW_ROWS - 1
    degrees = round(min(yaw_degrees, float(MAX_YAW_DEGREES)))
    return degrees if degrees >= 0 else MAX_YAW_DEGREES - degrees


def yaw_of(root: NDArray[np.float64]) -> float:
    """Degrees by which a rotation (3, 3) turns the head about the vertical axis, as the table counts them.

    The angle about y of the factorization into turns about z, y and x: R[2, 0] = -sin(y).
    """
    return float(np.rad2deg(np.arctan2(-root[2, 0], np.hypot(root[0, 0], root[1, 0]))))
