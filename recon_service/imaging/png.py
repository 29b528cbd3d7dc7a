"""PNG: a walk over the chunks, then Pillow."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recon_service.imaging.header import Header
from recon_service.imaging.pillow import decode_with_pillow
from recon_service.imaging.rejections import UnsupportedBitDepth, animated, corrupt, truncated

MAX_CHUNKS: Final = 20_000
MAX_EXIF_BYTES: Final = 1 << 16


def read_header(content: bytes) -> Header:
    """Walk all chunks up to IEND."""
    if len(content) < 33:
        raise truncated("The PNG file ends within its header.")
    if content[8:16] != b"\x00\x00\x00\rIHDR":
        raise corrupt("The PNG file does not begin with a header.")
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if content[24] == 16:
        raise UnsupportedBitDepth(
            "The PNG file has 16 bits per channel.", next_step="Save it with 8 bits per channel."
        )
    at, exif, has_pixels = 33, b"", False
    for _ in range(MAX_CHUNKS):
        kind, length = content[at + 4 : at + 8], int.from_bytes(content[at : at + 4], "big")
        if at + 12 + length > len(content):
            raise truncated("The PNG file ends before the picture does.")
        if kind == b"acTL":
            raise animated("The PNG file is animated.")
        if kind == b"eXIf" and length <= MAX_EXIF_BYTES:
            exif = content[at + 8 : at + 8 + length]
        has_pixels = has_pixels or kind == b"IDAT"
        if kind == b"IEND":
            break
        at += 12 + length
    else:
        raise corrupt(f"The PNG file has more than {MAX_CHUNKS:,} chunks.")
    if not has_pixels:
        raise corrupt("The PNG file holds no picture.")
    return Header(width=width, height=height, exif=exif)


def decode(content: bytes, header: Header) -> NDArray[np.uint8]:
    """RGB as stored."""
    return decode_with_pillow(content, header, plugin="PNG")
