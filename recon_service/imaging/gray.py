"""A gray or infrared picture as an image that detectors trained on photographs can read."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import InvalidValue
from recon_service.domain.images import Image

LOW_PERCENTILE: Final = 1.0
HIGH_PERCENTILE: Final = 99.0


def image_from_gray(gray: NDArray[Any], *, focal_35mm: float | None = None, infrared: bool = True) -> Image:
    """An RGB image of ``gray``: (H, W) uint8 or uint16, any range.

    The 1st to the 99th percentile is stretched to 0 to 255. ``infrared``: the square root is taken in
    between, because an active infrared camera's values are linear in light and fall with the square of the
    distance, where a photograph's are gamma coded.

    Raises InvalidValue for another shape or dtype, and for a picture without any contrast.
    """
    if gray.ndim != 2 or gray.size == 0 or gray.dtype not in (np.uint8, np.uint16):
        raise InvalidValue(
            f"a gray picture must be (H, W) uint8 or uint16, not {gray.shape} {gray.dtype}",
            next_step="Send one channel of 8 or 16 bits.",
        )
    low, high = np.percentile(gray, (LOW_PERCENTILE, HIGH_PERCENTILE))
    if not high > low:
        raise InvalidValue("the gray picture has no contrast", next_step="Check the exposure of the camera.")
    levels = np.arange(np.iinfo(gray.dtype).max + 1, dtype=np.float64)
    share = np.clip((levels - low) / (high - low), 0.0, 1.0)
    curve = np.round(255 * (np.sqrt(share) if infrared else share)).astype(np.uint8)
    return Image(
        pixels=np.asarray(cv2.cvtColor(curve[gray], cv2.COLOR_GRAY2RGB), dtype=np.uint8),
        focal_35mm=focal_35mm,
    )
