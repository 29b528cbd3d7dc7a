"""What a file says of its picture before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """width, height: pixels as stored. exif: the TIFF block of the EXIF data, or empty.

    upright: the decoder turns the picture itself (HEIC), so that the EXIF orientation is not to be applied.
    """

    width: int
    height: int
    exif: bytes = b""
    upright: bool = False
