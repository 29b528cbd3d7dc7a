"""Pixels as the bytes of a PNG file that tells its focal length."""

from __future__ import annotations

import io
from typing import Any

from numpy.typing import NDArray
from PIL import Image as PillowImage

EXIF_DIRECTORY = 0x8769
FOCAL_LENGTH_35MM = 0xA405


def png(pixels: NDArray[Any], *, focal_35mm: float | None = None) -> bytes:
    """pixels: (H, W, 3) uint8 RGB. focal_35mm goes into EXIF, rounded to a whole millimeter as there."""
    exif = PillowImage.Exif()
    if focal_35mm is not None:
        exif.get_ifd(EXIF_DIRECTORY)[FOCAL_LENGTH_35MM] = round(focal_35mm)
    buffer = io.BytesIO()
    # As bytes: an Exif object whose main directory is empty would be left out.
    PillowImage.fromarray(pixels).save(buffer, "PNG", exif=exif.tobytes(), compress_level=1)
    return buffer.getvalue()
