"""HEIC: the container's boxes, then libheif.

It turns the picture upright itself, and ten-bit pictures come out with eight.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pillow_heif
from numpy.typing import NDArray

from recon_service.imaging.header import Header
from recon_service.imaging.pillow import rgb_of
from recon_service.imaging.rejections import animated, corrupt, truncated

SEQUENCE_BRANDS: Final = frozenset({b"hevc", b"hevx", b"msf1"})
MAX_BOXES: Final = 1_000


def read_header(content: bytes) -> Header:
    """Walk the outer boxes, then let libheif read the size of the main picture (it decodes nothing yet)."""
    if content[8:12] in SEQUENCE_BRANDS:
        raise animated("The HEIC file is a sequence of pictures.")
    _check_boxes(content)
    try:
        picture = _primary(content)
        width, height = picture.size
        exif = picture.info.get("exif")
    except Exception as fault:
        raise corrupt("The HEIC file has a damaged header.") from fault
    return Header(width=width, height=height, exif=exif if isinstance(exif, bytes) else b"", upright=True)


def decode(content: bytes, header: Header) -> NDArray[np.uint8]:
    """RGB, upright."""
    try:
        picture = _primary(content).to_pillow()
    except Exception as fault:
        raise corrupt("The HEIC picture cannot be decoded.") from fault
    if picture.size != (header.width, header.height):
        raise corrupt("The HEIC picture has another size than its header says.")
    return rgb_of(picture)


def _primary(content: bytes) -> pillow_heif.HeifImage:
    file = pillow_heif.open_heif(content, convert_hdr_to_8bit=True)
    return file[file.primary_index]


def _check_boxes(content: bytes) -> None:
    at = 0
    for _ in range(MAX_BOXES):
        if at == len(content):
            return
        size, header = int.from_bytes(content[at : at + 4], "big"), 8
        if size == 0:
            return  # The last box reaches to the end of the file.
        if size == 1:
            size, header = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        if at + size > len(content) or at + header > len(content):
            raise truncated("The HEIC file ends before the picture does.")
        if size < header:
            raise corrupt("The HEIC file has a box of the wrong size.")
        at += size
    raise corrupt(f"The HEIC file has more than {MAX_BOXES:,} boxes.")
