"""JPEG: a walk over the markers, then libjpeg through OpenCV (the pixels of Pillow in half its time)."""

from __future__ import annotations

import re
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.imaging.header import Header
from recon_service.imaging.rejections import UnsupportedBitDepth, UnsupportedColor, corrupt, truncated

START_OF_FRAME: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
START_OF_SCAN: Final = 0xDA
END_OF_IMAGE: Final = 0xD9
APP1: Final = 0xE1
STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
MARKER_IN_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
MAX_SCANS: Final = 40
"""A progressive file has about ten. Each costs a pass over the whole picture: thousands are an attack."""
REDUCED: Final = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def read_header(content: bytes) -> Header:
    """Walk all markers up to the end of the first picture.

    What follows it is ignored: phones add depth and gain maps as further pictures.
    """
    at, scans, exif = 2, 0, b""
    frame: tuple[int, int] | None = None
    while True:
        marker, at = _next_marker(content, at)
        if marker == END_OF_IMAGE:
            break
        if marker in STANDALONE:
            continue
        segment = _segment(content, at)
        at += 2 + len(segment)
        if marker in START_OF_FRAME:
            if frame is not None:
                raise corrupt("The JPEG file has two frame headers.")
            frame = _frame_size(segment)
        elif marker == APP1 and not exif and segment.startswith(b"Exif\x00\x00"):
            exif = segment
        elif marker == START_OF_SCAN:
            scans += 1
            found = MARKER_IN_SCAN.search(content, at)
            if found is None:
                raise truncated("The JPEG file ends within the picture.")
            at = found.start()
        if scans > MAX_SCANS:
            raise corrupt(f"The JPEG file has more than {MAX_SCANS} scans.")
    if frame is None or scans == 0:
        raise corrupt("The JPEG file holds no picture.")
    return Header(width=frame[0], height=frame[1], exif=exif)


def decode(content: bytes, header: Header, *, target_side: int) -> NDArray[np.uint8]:
    """RGB as stored.

    libjpeg shrinks by 2, 4 or 8 while it decodes, as far as three quarters of ``target_side`` remain.
    """
    longest = max(header.width, header.height)
    shrink = next((k for k in (8, 4, 2) if longest > target_side and longest / k >= 0.75 * target_side), 1)
    flags = REDUCED[shrink] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as fault:
        raise corrupt("The JPEG picture cannot be decoded.") from fault
    if bgr is None:
        raise corrupt("The JPEG picture cannot be decoded.")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr), dtype=np.uint8)


def _next_marker(content: bytes, at: int) -> tuple[int, int]:
    """The marker at ``at`` (fill bytes before it are legal), and where its segment begins."""
    if at < len(content) and content[at] != 0xFF:
        raise corrupt("The JPEG file has a segment of the wrong length.")
    while at < len(content) and content[at] == 0xFF:
        at += 1
    if at >= len(content):
        raise truncated("The JPEG file ends before the picture does.")
    return content[at], at + 1


def _segment(content: bytes, at: int) -> bytes:
    length = int.from_bytes(content[at : at + 2], "big")
    if at + 2 > len(content) or at + length > len(content):
        raise truncated("The JPEG file ends within its header.")
    if length < 2:
        raise corrupt("The JPEG file has a segment of the wrong length.")
    return content[at + 2 : at + length]


def _frame_size(segment: bytes) -> tuple[int, int]:
    if len(segment) < 6:
        raise corrupt("The JPEG file has a damaged frame header.")
    bits, components = segment[0], segment[5]
    if bits != 8:
        raise UnsupportedBitDepth(
            f"The JPEG file has {bits} bits per channel.", next_step="Save it with 8 bits per channel."
        )
    if components not in (1, 3):
        raise UnsupportedColor(
            f"The JPEG file has {components} color channels (CMYK has 4).",
            next_step="Save it as an RGB picture.",
        )
    return int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[1:3], "big")
