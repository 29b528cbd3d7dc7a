"""The format of a file by its first bytes. Names and content types are never asked: they may lie."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from recon_service.imaging.rejections import ACCEPTED_FORMATS, UnknownFormat, UnsupportedFormat


class ImageFormat(StrEnum):
    """The accepted formats."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    HEIC = "HEIC"


HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
REFUSED: Final = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"qoif", "QOI"),
    (b"v/1\x01", "OpenEXR"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML"),
)


def sniff(content: bytes) -> ImageFormat:
    """The format of ``content``; raises UnsupportedFormat or UnknownFormat."""
    head = content[:64]
    if head.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if head[4:8] == b"ftyp":
        return _sniff_iso_media(head)
    for magic, name in REFUSED:
        if head.startswith(magic):
            raise _refused(name)
    raise UnknownFormat(
        "The file does not begin like any image format.", next_step=f"Send a {ACCEPTED_FORMATS} picture."
    )


def _sniff_iso_media(head: bytes) -> ImageFormat:
    """HEIC among the formats that share its container (the generic brand mif1, unless AVIF is named too)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))}
    if brands & AVIF_BRANDS:
        raise _refused("AVIF")
    if head[8:12] in HEIC_BRANDS:
        return ImageFormat.HEIC
    raise _refused("video")


def _refused(name: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"The file is of the kind {name}, which is not accepted.",
        next_step=f"Send a {ACCEPTED_FORMATS} picture.",
    )
