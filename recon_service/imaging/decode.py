"""Image bytes to an upright RGB image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.images import Image
from recon_service.imaging import heic, jpeg, png, webp
from recon_service.imaging.exif import read_exif, turn_upright
from recon_service.imaging.formats import ImageFormat, sniff
from recon_service.imaging.header import Header
from recon_service.imaging.limits import ImageLimits

DEFAULT_LIMITS = ImageLimits()


def decode_image(content: bytes, *, limits: ImageLimits = DEFAULT_LIMITS) -> Image:
    """The picture in ``content``, upright and at most ``limits.target_side`` pixels long.

    The colors are taken as sRGB: an embedded profile is not applied (16 ms for a phone's picture, and neither
    landmarks nor shape depend on it). Raises one of the subclasses of ImageRejected in
    ``imaging/rejections.py``, and nothing else.
    """
    limits.check_bytes(len(content))
    kind = sniff(content)
    header = _read_header(content, kind)
    limits.check_size(header.width, header.height)
    pixels = _shrunk(_decode(content, kind, header, limits.target_side), limits.target_side)
    facts = read_exif(header.exif)
    return Image(
        pixels=pixels if header.upright else turn_upright(pixels, facts.orientation),
        focal_35mm=facts.focal_35mm,
    )


def _read_header(content: bytes, kind: ImageFormat) -> Header:
    match kind:
        case ImageFormat.JPEG:
            return jpeg.read_header(content)
        case ImageFormat.PNG:
            return png.read_header(content)
        case ImageFormat.WEBP:
            return webp.read_header(content)
        case ImageFormat.HEIC:
            return heic.read_header(content)


def _decode(content: bytes, kind: ImageFormat, header: Header, target_side: int) -> NDArray[np.uint8]:
    match kind:
        case ImageFormat.JPEG:
            return jpeg.decode(content, header, target_side=target_side)
        case ImageFormat.PNG:
            return png.decode(content, header)
        case ImageFormat.WEBP:
            return webp.decode(content, header)
        case ImageFormat.HEIC:
            return heic.decode(content, header)


def _shrunk(pixels: NDArray[np.uint8], target_side: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = target_side / max(width, height)
    if scale >= 1:
        return pixels
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
