"""Pillow's decoders behind our errors, and its color modes to RGB."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from recon_service.imaging.header import Header
from recon_service.imaging.rejections import UnsupportedColor, corrupt

RGB_MODES: Final = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX"})
BACKDROP: Final = (128, 128, 128)
"""Behind transparent pixels (a cut-out portrait): no strong edge with either light or dark skin or hair."""


def decode_with_pillow(content: bytes, header: Header, *, plugin: str) -> NDArray[np.uint8]:
    """RGB pixels by the named decoder and no other; CorruptImage for whatever it stumbles over."""
    try:
        with PillowImage.open(io.BytesIO(content), formats=(plugin,)) as picture:
            if picture.size == (header.width, header.height):
                picture.load()
                return rgb_of(picture)
    except UnsupportedColor:
        raise
    except Exception as fault:
        # Decoders answer damaged files with errors of many kinds (OSError, SyntaxError, ValueError,
        # struct.error, …).
        raise corrupt(f"The {plugin} picture cannot be decoded.") from fault
    raise corrupt(f"The {plugin} picture has another size than its header says.")


def rgb_of(picture: PillowImage.Image) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: gray repeated, palettes looked up, transparency laid over middle gray."""
    if picture.mode not in RGB_MODES:
        raise UnsupportedColor(
            f"The picture has the color mode {picture.mode}.",
            next_step="Save it as an RGB picture with 8 bits per channel.",
        )
    if picture.mode != "RGB" and picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = PillowImage.new("RGB", layer.size, BACKDROP)
        picture.paste(layer, mask=layer.getchannel("A"))
    return np.array(picture.convert("RGB"), dtype=np.uint8)
