"""WebP: the container's chunks, then Pillow."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recon_service.imaging.header import Header
from recon_service.imaging.pillow import decode_with_pillow
from recon_service.imaging.rejections import animated, corrupt, truncated

ANIMATION_FLAG: Final = 0x02
MAX_CHUNKS: Final = 1_000
MAX_EXIF_BYTES: Final = 1 << 16


def read_header(content: bytes) -> Header:
    """Walk the chunks; the size is that of the canvas, or of the single picture where there is no canvas."""
    end = 8 + int.from_bytes(content[4:8], "little")
    if end > len(content):
        raise truncated("The WebP file ends before the picture does.")
    at, exif, size, has_pixels = 12, b"", (0, 0), False
    for _ in range(MAX_CHUNKS):
        if at + 8 > end:
            break
        kind, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        body = content[at + 8 : at + 8 + min(length, 16)]
        if at + 8 + length > end:
            raise truncated("The WebP file ends before the picture does.")
        if kind == b"VP8X":
            if len(body) < 10:
                raise corrupt("The WebP file has a damaged header.")
            if body[0] & ANIMATION_FLAG:
                raise animated("The WebP file is animated.")
            size = (1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little"))
        elif kind in (b"ANIM", b"ANMF"):
            raise animated("The WebP file is animated.")
        elif kind in (b"VP8 ", b"VP8L"):
            own = _lossy_size(body) if kind == b"VP8 " else _lossless_size(body)
            # Both are what some decoder may believe: the larger one has to pass the limits.
            size = (max(size[0], own[0]), max(size[1], own[1]))
            has_pixels = True
        elif kind == b"EXIF" and length <= MAX_EXIF_BYTES:
            exif = content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    else:
        raise corrupt(f"The WebP file has more than {MAX_CHUNKS:,} chunks.")
    if not has_pixels:
        raise corrupt("The WebP file holds no picture.")
    return Header(width=size[0], height=size[1], exif=exif)


def decode(content: bytes, header: Header) -> NDArray[np.uint8]:
    """RGB as stored."""
    return decode_with_pillow(content, header, plugin="WEBP")


def _lossy_size(body: bytes) -> tuple[int, int]:
    """Width and height in the frame header (RFC 6386, 9.1): 14 bits each after the start code."""
    if len(body) < 10 or body[3:6] != b"\x9d\x01\x2a":
        raise corrupt("The WebP file has a damaged frame header.")
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def _lossless_size(body: bytes) -> tuple[int, int]:
    """Width and height after the signature byte: 14 bits each, less one."""
    if len(body) < 5 or body[0] != 0x2F:
        raise corrupt("The WebP file has a damaged frame header.")
    bits = int.from_bytes(body[1:5], "little")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
