"""The two things that EXIF data tell us: how the camera was held, and its focal length.

Read by a small parser of our own that looks at exactly two directories: it cannot loop, warn or fail on
damaged data.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

ORIENTATION: Final = 0x0112
EXIF_DIRECTORY: Final = 0x8769
FOCAL_LENGTH_35MM: Final = 0xA405
SHORT: Final = 3
LONG: Final = 4
PLAUSIBLE_FOCAL_35MM: Final = (10.0, 300.0)
"""Beyond it no camera takes selfies; 0 means unknown."""


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """orientation: 1 to 8, as EXIF counts; 1 where unknown. focal_35mm: 35-mm equivalent, or None."""

    orientation: int = 1
    focal_35mm: float | None = None


def read_exif(block: bytes) -> CameraFacts:
    """Facts from an EXIF block, with or without its prefix; damaged or missing data give the defaults."""
    tiff = block.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return CameraFacts()
    main = _directory(tiff, struct.unpack_from(order + "I", tiff, 4)[0], order)
    orientation = main.get(ORIENTATION, 1)
    focal = (
        _directory(tiff, main[EXIF_DIRECTORY], order).get(FOCAL_LENGTH_35MM, 0)
        if EXIF_DIRECTORY in main
        else 0
    )
    low, high = PLAUSIBLE_FOCAL_35MM
    return CameraFacts(
        orientation=orientation if 1 <= orientation <= 8 else 1,
        focal_35mm=float(focal) if low <= focal <= high else None,
    )


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The picture as it was seen.

    ``orientation`` says where the stored first row and column belong (EXIF 2.3, tag 274).
    """
    turned: MatLike = pixels
    if orientation >= 5:
        turned = cv2.transpose(turned)  # 5 to 8 store columns as rows
    # Where the (transposed) first row belongs at the bottom, and the first column at the right.
    flip_rows, flip_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if flip_rows or flip_columns:
        turned = cv2.flip(turned, -1 if flip_rows and flip_columns else 0 if flip_rows else 1)
    return np.asarray(turned, dtype=np.uint8)


def _directory(tiff: bytes, offset: int, order: str) -> dict[int, int]:
    """The single SHORT and LONG values in the directory at ``offset``, as far as the block holds them."""
    if offset + 2 > len(tiff):
        return {}
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    entries: dict[int, int] = {}
    for at in range(offset + 2, min(offset + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", tiff, at)
        if number == 1 and kind in (SHORT, LONG):
            entries.setdefault(
                tag, struct.unpack_from(order + ("H" if kind == SHORT else "I"), tiff, at + 8)[0]
            )
    return entries
