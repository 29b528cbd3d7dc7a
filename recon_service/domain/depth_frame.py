"""One frame of a depth camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import DepthRejected
from recon_service.domain.images import Image

MAX_DEPTH_MM = 65_535.0


@dataclass(frozen=True, slots=True)
class DepthFrame:
    """A depth map with its camera.

    depth: (H, W) float64, millimetres along z (not along the ray), 0 where nothing was measured. camera:
    intrinsics of the depth map. camera_name: key of the camera's noise parameters. image: color or infrared
    picture aligned with the depth map, pixel by pixel, or None.
    """

    depth: Array
    camera: PinholeCamera
    camera_name: str = "generic"
    image: Image | None = None

    def __post_init__(self) -> None:
        if self.depth.ndim != 2:
            raise DepthRejected(
                f"a depth map has two dimensions, not {self.depth.ndim}", next_step="Send one frame."
            )
        if self.depth.shape != (self.camera.height, self.camera.width):
            raise DepthRejected(
                f"the depth map is {self.depth.shape[1]}x{self.depth.shape[0]}, "
                f"its intrinsics are for {self.camera.width}x{self.camera.height}",
                next_step="Send the intrinsics of the depth stream; after cropping, move cx and cy along.",
            )
        if self.image is not None and (self.image.height, self.image.width) != self.depth.shape:
            raise DepthRejected(
                "the image does not have the size of the depth map",
                next_step="Align the image with the depth map (for example rs2::align), or leave it out.",
            )
        if not np.isfinite(self.depth).all() or self.depth.min() < 0 or self.depth.max() > MAX_DEPTH_MM:
            raise DepthRejected(
                "depth values must lie between 0 and 65535 mm",
                next_step="Send 0 where nothing was measured, and the depth scale in millimetres per unit.",
            )

    @classmethod
    def from_array(
        cls,
        depth: NDArray[np.uint16] | NDArray[np.floating],
        *,
        camera: PinholeCamera,
        millimetres_per_unit: float = 1.0,
        camera_name: str = "generic",
        image: Image | None = None,
    ) -> DepthFrame:
        """A frame from raw units; NaN and infinity in a float array mean 'nothing was measured'."""
        if not (np.isfinite(millimetres_per_unit) and 1e-4 <= millimetres_per_unit <= 1e4):
            raise DepthRejected(
                f"a depth scale of {millimetres_per_unit:g} mm per unit is not plausible",
                next_step="Send millimetres per unit: 1 for millimetres, 1000 for meters.",
            )
        if depth.dtype.kind not in "uif":
            raise DepthRejected(f"depth values of type {depth.dtype} are not numbers")
        with np.errstate(invalid="ignore", over="ignore"):  # what is no distance becomes zero below
            values = np.asarray(depth, dtype=np.float64) * millimetres_per_unit
        values = np.where(np.isfinite(values), values, 0.0)
        return cls(values, camera, camera_name, image)
