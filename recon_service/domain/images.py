"""A decoded selfie, and what is known about the camera that took it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue

FULL_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)
TYPICAL_PHONE_FOCAL_35MM = 28.0
"""35-mm equivalent of a phone's camera where the file does not tell: front cameras lie between 22 and 32
mm.
"""


@dataclass(frozen=True, slots=True)
class Image:
    """An upright picture.

    pixels: (H, W, 3) uint8, RGB. focal_35mm: 35-mm equivalent focal length that the file states, or None.
    """

    pixels: NDArray[np.uint8]
    focal_35mm: float | None = None

    def __post_init__(self) -> None:
        if (
            self.pixels.dtype != np.uint8
            or self.pixels.ndim != 3
            or self.pixels.shape[2] != 3
            or self.pixels.size == 0
        ):
            raise InvalidValue(
                f"image pixels must be (H, W, 3) uint8, not {self.pixels.shape} {self.pixels.dtype}"
            )
        if self.focal_35mm is not None and not 5.0 <= self.focal_35mm <= 2000.0:
            raise InvalidValue(f"a 35-mm equivalent focal length of {self.focal_35mm:g} mm is not plausible")

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    def camera(self) -> PinholeCamera:
        """The camera by the file's statement, or a typical phone's; principal point at the center of the
        image.
        """
        focal = self.focal_35mm or TYPICAL_PHONE_FOCAL_35MM
        focal_px = focal / FULL_FRAME_DIAGONAL_MM * math.hypot(self.width, self.height)
        return PinholeCamera(
            width=self.width,
            height=self.height,
            fx=focal_px,
            fy=focal_px,
            cx=(self.width - 1) / 2,
            cy=(self.height - 1) / 2,
        )

    @property
    def log_focal_sd(self) -> float:
        """Standard deviation of log(true focal / camera().fx): 5 % where the file states it, else 25 %."""
        return 0.05 if self.focal_35mm is not None else 0.25
