"""The skin laid flat: a cylinder around the head, on which colors of different faces can be mixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import AnyArray, Array
from recon_service.domain.mesh import Mesh
from recon_service.geometry import cast
from recon_service.simulation.population.shape import DenseBasis

AXIS_Z: Final = -10.0
"""The cylinder's axis passes here, mm, head frame of the mean."""
HALF_ANGLE: Final = 2.0
"""Radians to either side; the ears lie at about 1.6."""
TOP_MM: Final = 132.0
BOTTOM_MM: Final = -168.0
SIDE: Final = 1024
"""Pixels each way: 0.29 mm in height, 0.36 mm around the cheeks."""


def unwrapped_pixels(points: Array) -> NDArray[np.float32]:
    """(N, 2) column and row on the unwrapped skin of points (N, 3) of the mean head. Column 0 is the
    subject's right; column SIDE - 1 - c mirrors column c.
    """
    angle = np.arctan2(points[:, 0], points[:, 2] - AXIS_Z)
    column = (angle / HALF_ANGLE + 1) / 2 * (SIDE - 1)
    row = (TOP_MM - points[:, 1]) / (TOP_MM - BOTTOM_MM) * (SIDE - 1)
    return np.stack([column, row], axis=1).astype(np.float32)


def row_heights() -> Array:
    """(SIDE,) height in mm, head frame of the mean, of each row."""
    return np.asarray(TOP_MM - np.arange(SIDE) / (SIDE - 1) * (TOP_MM - BOTTOM_MM))


def column_angles() -> Array:
    """(SIDE,) radians from the middle of the face, positive to the subject's left, of each column."""
    return np.asarray((np.arange(SIDE) / (SIDE - 1) * 2 - 1) * HALF_ANGLE)


@dataclass(frozen=True, slots=True)
class Unwrapping:
    """What lies under each pixel of the unwrapped skin, (SIDE, SIDE): the outermost point of the mean.

    triangle: index, -1 where nothing is. barycentric: (SIDE, SIDE, 3).
    """

    triangle: NDArray[np.int64]
    barycentric: Array
    triangles: NDArray[np.int64]

    @classmethod
    def of(cls, basis: DenseBasis) -> Unwrapping:
        angle = np.tile(column_angles(), SIDE)
        height = np.repeat(row_heights(), SIDE)
        outward = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=1)
        starts = 300.0 * outward + np.stack(
            [np.zeros_like(angle), height, np.full_like(angle, AXIS_Z)], axis=1
        )
        triangle, barycentric, _, _ = cast(Mesh(basis.mean, basis.triangles), -outward, origins=starts)
        return cls(triangle.reshape(SIDE, SIDE), barycentric.reshape(SIDE, SIDE, 3), basis.triangles)

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self.triangle >= 0

    def spread(self, values: AnyArray) -> NDArray[np.float32]:
        """Values per vertex, (V,) or (V, C), over the unwrapped skin; zero where nothing is."""
        out = np.zeros((SIDE, SIDE, *values.shape[1:]), dtype=np.float32)
        mask = self.mask
        corners = values[self.triangles[self.triangle[mask]]]
        out[mask] = np.einsum("mb,mb...->m...", self.barycentric[mask], corners)
        return out


def blurred_where(
    image: NDArray[np.float32], weight: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    """``image`` (H, W) or (H, W, C) blurred with ``weight`` (H, W): normalized convolution, at a quarter of
    the resolution.
    """
    height, width = weight.shape
    small = (width // 4, height // 4)
    weights = weight if image.ndim == 2 else weight[..., None]
    top = cv2.resize(image * weights, small, interpolation=cv2.INTER_AREA)
    bottom = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
    top = cv2.GaussianBlur(top, (0, 0), sigma / 4)
    bottom = np.maximum(cv2.GaussianBlur(bottom, (0, 0), sigma / 4), 1e-5)
    ratio = np.asarray(top / (bottom if image.ndim == 2 else bottom[..., None]), dtype=np.float32)
    return np.asarray(cv2.resize(ratio, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
