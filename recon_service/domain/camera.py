"""The pinhole camera with lens distortion: pixels <-> rays, camera frame x right, y down, z forward."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recon_service.domain.arrays import Array, finite
from recon_service.domain.errors import InvalidValue

MAX_FOCAL_PX = 1e5
UNDISTORT_ITERATIONS = 20


@dataclass(frozen=True, slots=True)
class PinholeCamera:
    """Intrinsics of one camera.

    width, height: image size in pixels. fx, fy: focal lengths in pixels. cx, cy: principal point in pixels,
    the center of the top-left pixel is (0, 0). distortion: (k1, k2, p1, p2, k3) of the Brown-Conrady model,
    as OpenCV orders them.

    Raises InvalidValue for values that no camera has.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if not (1 <= self.width <= 65535 and 1 <= self.height <= 65535):
            raise InvalidValue(
                f"camera size {self.width}x{self.height} is out of range",
                next_step="Send the size in pixels, 1 to 65535.",
            )
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not all(np.isfinite(v) for v in numbers):
            raise InvalidValue(
                "camera intrinsics must be finite numbers", next_step="Check fx, fy, cx, cy and distortion."
            )
        if not (1.0 <= self.fx <= MAX_FOCAL_PX and 1.0 <= self.fy <= MAX_FOCAL_PX):
            raise InvalidValue(
                f"focal lengths ({self.fx:g}, {self.fy:g}) px are out of range",
                next_step="Send fx and fy in pixels.",
            )
        if not (-self.width <= self.cx <= 2 * self.width and -self.height <= self.cy <= 2 * self.height):
            raise InvalidValue(
                f"principal point ({self.cx:g}, {self.cy:g}) lies far outside the image",
                next_step="Send cx and cy in pixels of this image; subtract the offset of a crop.",
            )
        if any(abs(v) > 10 for v in self.distortion):
            raise InvalidValue(
                "distortion coefficients beyond 10 are not plausible", next_step="Order: k1, k2, p1, p2, k3."
            )

    def project(self, points: Array) -> Array:
        """Pixels (N, 2) of points (N, 3) in the camera frame, in front of the camera (z > 0)."""
        x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
        x, y = self._distort(x, y)
        return np.stack([self.fx * x + self.cx, self.fy * y + self.cy], axis=1)

    def rays(self, pixels: Array) -> Array:
        """Rays (N, 3) with z = 1 through pixels (N, 2); undoes the distortion by fixed-point iteration."""
        finite(pixels, "pixels")
        xd = (pixels[:, 0] - self.cx) / self.fx
        yd = (pixels[:, 1] - self.cy) / self.fy
        x, y = xd, yd
        if any(self.distortion):
            for _ in range(UNDISTORT_ITERATIONS):
                dx, dy = self._distort(x, y)
                x, y = x + (xd - dx), y + (yd - dy)
        return np.stack([x, y, np.ones_like(x)], axis=1)

    def scaled_focal(self, factor: float) -> PinholeCamera:
        """The same camera with both focal lengths multiplied by ``factor``."""
        return replace(self, fx=self.fx * factor, fy=self.fy * factor)

    def cropped(self, *, left: int, top: int, width: int, height: int) -> PinholeCamera:
        """The camera of a crop of this camera's image."""
        return replace(self, width=width, height=height, cx=self.cx - left, cy=self.cy - top)

    def _distort(self, x: Array, y: Array) -> tuple[Array, Array]:
        if not any(self.distortion):
            return x, y
        k1, k2, p1, p2, k3 = self.distortion
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        return (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        )
