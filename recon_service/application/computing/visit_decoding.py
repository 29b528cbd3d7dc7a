"""Bytes of a kiosk's visit -> depth frames. Formats are recognized by their first bytes, and nothing is
unpickled.
"""

from __future__ import annotations

import io
from dataclasses import replace
from tokenize import TokenError
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from recon_service.application.records.visits import KioskVisit
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import DepthRejected
from recon_service.domain.images import Image
from recon_service.imaging import ImageLimits, decode_image, image_from_gray
from recon_service.imaging.rejections import TooManyPixels, corrupt

MAX_PIXELS: Final = 4_194_304
"""Of a depth map or of the picture aligned with it: no depth camera has more."""
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
NPY_SIGNATURE: Final = b"\x93NUMPY"
MAX_NPY_HEADER: Final = 1_000
NPY_DTYPES: Final = frozenset({"u1", "u2", "u4", "i2", "i4", "f2", "f4", "f8"})


def decode_visit(visit: KioskVisit, *, limits: ImageLimits) -> tuple[DepthFrame, ...]:
    """All frames of the visit. Raises DepthRejected or ImageRejected for the first that cannot be read."""
    # An aligned picture belongs to the depth map pixel by pixel: never shrink it, and accept a small
    # sensor's.
    limits = replace(limits, min_side=16, target_side=MAX_PIXELS, max_pixels=MAX_PIXELS)
    images: list[Image | None] = [decode_aligned_image(i, limits=limits) for i in visit.images]
    return tuple(
        DepthFrame.from_array(
            decode_depth(content),
            camera=visit.camera,
            millimetres_per_unit=visit.millimetres_per_unit,
            camera_name=visit.camera_name,
            image=image,
        )
        for content, image in zip(visit.depth, images or [None] * len(visit.depth), strict=True)
    )


def decode_depth(content: bytes) -> NDArray[Any]:
    """(H, W) raw units of a 16-bit gray PNG or of an NPY file with numbers. Raises DepthRejected."""
    if content.startswith(PNG_SIGNATURE):
        return _decode_png(content)
    if content.startswith(NPY_SIGNATURE):
        return _decode_npy(content)
    raise DepthRejected(
        "the depth file is neither PNG nor NPY",
        next_step="Send a 16-bit gray PNG, or an array saved by numpy.save.",
    )


def decode_aligned_image(content: bytes, *, limits: ImageLimits) -> Image:
    """A color picture as a selfie is; a gray one of 8 or 16 bits is taken for infrared. Raises
    ImageRejected.
    """
    if not content.startswith(PNG_SIGNATURE) or content[25:26] != b"\x00":  # the color type: 0 is gray
        return decode_image(content, limits=limits)
    limits.check_bytes(len(content))
    gray = _png_pixels(content, corrupt("The PNG file of the aligned picture cannot be read."))
    return image_from_gray(gray if gray.dtype == np.uint8 else gray.astype(np.uint16))


def _decode_png(content: bytes) -> NDArray[Any]:
    refused = DepthRejected(
        "the depth PNG cannot be read", next_step="Send a 16-bit gray PNG, complete and not interlaced."
    )
    if content[24:26] != b"\x10\x00":  # 16 bits, gray
        raise DepthRejected(
            "a depth PNG must have one gray channel of 16 bits", next_step="Save the raw depth as uint16."
        )
    return _png_pixels(content, refused)


def _png_pixels(content: bytes, refused: Exception) -> NDArray[Any]:
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if width * height > MAX_PIXELS:
        raise TooManyPixels(
            f"A depth map may have {MAX_PIXELS:,} pixels.",
            next_step="Send it in the sensor's own resolution.",
        )
    try:
        with PillowImage.open(io.BytesIO(content), formats=("PNG",)) as file:
            pixels = np.asarray(file)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, PillowImage.DecompressionBombError):
        raise refused from None
    if pixels.ndim != 2 or pixels.shape != (height, width):
        raise refused
    return pixels.astype(np.uint8) * np.uint8(255) if pixels.dtype == np.bool_ else pixels


def _decode_npy(content: bytes) -> NDArray[Any]:
    """The header by numpy's own parser, which reads literals only; the numbers straight from the bytes."""
    refused = DepthRejected(
        "the depth NPY file cannot be read",
        next_step="Save one (H, W) array of uint16 or float32 with numpy.save.",
    )
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran_order, dtype = read_header(file, max_header_size=MAX_NPY_HEADER)
    except (
        ValueError,
        KeyError,
        TypeError,
        SyntaxError,
        TokenError,
        RecursionError,
        MemoryError,
        OverflowError,
    ):
        raise refused from None
    if len(shape) != 2 or dtype.hasobject or dtype.fields is not None or dtype.str[1:] not in NPY_DTYPES:
        raise refused
    height, width = shape
    if not (0 < height <= MAX_PIXELS and 0 < width <= MAX_PIXELS and height * width <= MAX_PIXELS):
        raise DepthRejected(
            f"a depth map may have 1 to {MAX_PIXELS:,} pixels", next_step="Send one frame per file."
        )
    if len(content) - file.tell() != height * width * dtype.itemsize:
        raise refused
    values = np.frombuffer(content, dtype=dtype, offset=file.tell())
    ordered = values.reshape((height, width), order="F" if fortran_order else "C")
    with np.errstate(invalid="ignore"):  # a signaling NaN is a NaN: nothing was measured there
        return np.ascontiguousarray(ordered.astype(dtype.newbyteorder("=")))
