"""Bytes of an image file to an upright RGB image: JPEG, PNG, WebP and HEIC, one file per format.

The order is: size in bytes, format by its first bytes, header (dimensions, depth, animation) by code of our
own, limits, and only then a decoder. Whatever the bytes are, the result is an ``Image`` or an
``ImageRejected``.
"""

from __future__ import annotations

from recon_service.imaging.decode import decode_image
from recon_service.imaging.gray import image_from_gray
from recon_service.imaging.limits import ImageLimits

__all__ = ["ImageLimits", "decode_image", "image_from_gray"]
