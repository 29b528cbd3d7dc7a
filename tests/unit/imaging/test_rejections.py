"""Each kind of bad file gets its own error, and nothing ever gets another one."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from recon_service.domain.errors import ImageRejected, InvalidValue
from recon_service.domain.images import Image
from recon_service.imaging import ImageLimits, decode_image, rejections
from recon_service.imaging.rejections import (
    AnimatedImage,
    BadAspect,
    CorruptImage,
    EmptyImage,
    TooManyBytes,
    TooManyPixels,
    TooSmall,
    TruncatedImage,
    UnknownFormat,
    UnsupportedBitDepth,
    UnsupportedColor,
    UnsupportedFormat,
)
from tests.images import encoded, exif_block, portrait, resized

PIXELS = portrait("astronaut")
PICTURE = PillowImage.fromarray(PIXELS)
SMALL = resized(PIXELS, 0.35)
FILES = {
    "JPEG": encoded(SMALL, "JPEG", exif=exif_block(orientation=6, focal_35mm=26)),
    "progressive JPEG": encoded(SMALL, "JPEG", progressive=True),
    "PNG": encoded(SMALL, "PNG", exif=exif_block(orientation=3)),
    "palette PNG": encoded(PillowImage.fromarray(SMALL).quantize(), "PNG"),
    "WebP": encoded(SMALL, "WEBP", exif=exif_block(orientation=8)),
    "lossless WebP": encoded(SMALL, "WEBP", lossless=True),
    "HEIC": encoded(SMALL, "HEIF", exif=exif_block(orientation=6)),
}
KINDS = ["JPEG", "PNG", "WEBP", "HEIF"]


def rejected(content: bytes, kind: type[ImageRejected], limits: ImageLimits | None = None) -> None:
    with pytest.raises(ImageRejected) as caught:
        decode_image(content, limits=limits or ImageLimits())
    assert type(caught.value) is kind, caught.value
    assert caught.value.detail
    assert caught.value.next_step


def test_no_bytes() -> None:
    rejected(b"", EmptyImage)


@pytest.mark.parametrize("content", [b"hello, world", b"\x00" * 1000, b"\xff\xd8", b"PNG", bytes(range(256))])
def test_no_image_at_all(content: bytes) -> None:
    rejected(content, UnknownFormat)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PDF", "ICO", "JPEG2000"])
def test_known_formats_that_are_not_accepted_whatever_they_are_called(kind: str) -> None:
    rejected(encoded(PICTURE, kind), UnsupportedFormat)


def test_relatives_of_heic_that_are_not_accepted() -> None:
    for brand in (b"avif", b"mp42", b"qt  "):
        rejected(
            struct.pack(">I4s4sI4s", 20, b"ftyp", brand, 0, brand) + FILES["HEIC"][20:], UnsupportedFormat
        )


@pytest.mark.parametrize(
    "magic",
    [
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\xf0\x03\x00\x00WEBP",
        b"\x00\x00\x00\x14ftypheic\x00\x00\x00\x00heic",
    ],
)
def test_files_that_lie_about_their_format(magic: bytes) -> None:
    garbage = np.random.default_rng(0).integers(0, 256, 1016).astype(np.uint8).tobytes()
    with pytest.raises((CorruptImage, TruncatedImage)):
        decode_image(magic + garbage)


def test_one_formats_magic_before_anothers_body() -> None:
    with pytest.raises((CorruptImage, TruncatedImage)):
        decode_image(b"\x89PNG\r\n\x1a\n" + FILES["JPEG"])
    with pytest.raises((CorruptImage, TruncatedImage)):
        decode_image(b"\xff\xd8\xff" + FILES["PNG"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_truncated(kind: str, share: float) -> None:
    content = encoded(PIXELS, kind)
    rejected(content[: int(len(content) * share)], TruncatedImage)


def test_a_truncated_jpeg_with_a_whole_thumbnail_is_truncated() -> None:
    thumbnail = encoded(resized(PIXELS, 0.1), "JPEG")
    content = encoded(PIXELS, "JPEG", exif=exif_block(orientation=1) + thumbnail)
    assert content.count(b"\xff\xd9") == 2
    rejected(content[:-2000], TruncatedImage)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animated(kind: str) -> None:
    rejected(encoded(PICTURE, kind, save_all=True, append_images=[PICTURE.rotate(90)]), AnimatedImage)


def test_heic_sequences_are_animated() -> None:
    content = FILES["HEIC"]
    rejected(content[:8] + b"hevc" + content[12:], AnimatedImage)


def test_cmyk() -> None:
    rejected(encoded(PICTURE.convert("CMYK"), "JPEG"), UnsupportedColor)


def test_sixteen_bits() -> None:
    deep = PillowImage.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)
    rejected(encoded(deep, "PNG"), UnsupportedBitDepth)
    content = bytearray(FILES["JPEG"])
    content[content.index(b"\xff\xc0") + 4] = 12
    rejected(bytes(content), UnsupportedBitDepth)


@pytest.mark.parametrize(("width", "height"), [(0, 512), (512, 0), (0, 0)])
def test_zero_size(width: int, height: int) -> None:
    rejected(png_of_size(width, height), EmptyImage)
    content = bytearray(FILES["JPEG"])
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    rejected(bytes(content), EmptyImage)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG file whose header states this size, with almost no pixels behind it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    rejected(png_of_size(60_000, 60_000), TooManyPixels)
    rejected(png_of_size(2**31 - 1, 2**31 - 1), TooManyPixels)


def test_a_header_larger_than_the_pixels_behind_it() -> None:
    rejected(png_of_size(800, 800), CorruptImage)


def test_a_jpeg_of_very_many_scans_is_an_attack() -> None:
    content = encoded(SMALL, "JPEG", progressive=True)
    scan = content.index(b"\xff\xda")
    rejected(content[:scan] + content[scan:-2] * 30 + content[-2:], CorruptImage)


@pytest.mark.parametrize("kind", KINDS)
def test_limits_hold_for_every_format_at_the_pixel(kind: str) -> None:
    content = encoded(portrait("astronaut")[:200, :400], kind)
    size = len(content)
    decode_image(content, limits=ImageLimits(max_bytes=size, max_pixels=80_000, max_aspect=2.0, min_side=200))
    rejected(content, TooManyBytes, ImageLimits(max_bytes=size - 1))
    rejected(content, TooManyPixels, ImageLimits(max_pixels=79_999))
    rejected(content, BadAspect, ImageLimits(max_aspect=1.99))
    rejected(content, TooSmall, ImageLimits(min_side=201))


def test_limits_must_make_sense() -> None:
    for wrong in ({"max_bytes": 0}, {"max_aspect": 0.5}, {"min_side": 3000}):
        with pytest.raises(InvalidValue):
            ImageLimits(**wrong)


def test_every_reason_has_a_code_of_its_own() -> None:
    kinds = [v for v in vars(rejections).values() if isinstance(v, type) and issubclass(v, ImageRejected)]
    codes = [kind.code for kind in kinds]
    assert len(kinds) == 13
    assert len(set(codes)) == len(codes)
    assert len({kind.title for kind in kinds}) == len(kinds)


@settings(max_examples=150)
@given(st.data())
def test_damaged_files_give_an_image_or_a_rejection(data: st.DataObject) -> None:
    content = bytearray(FILES[data.draw(st.sampled_from(sorted(FILES)))])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 400))
        change = data.draw(st.sampled_from(["set", "remove", "insert", "cut"]))
        if change == "set" and at < len(content):
            content[at] = data.draw(st.integers(0, 255))
        elif change == "remove":
            del content[at : at + data.draw(st.integers(1, 40))]
        elif change == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=20))
        else:
            del content[at:]
        if not content:
            break
    with suppress(ImageRejected):
        assert isinstance(decode_image(bytes(content)), Image)


@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "WebP", "HEIC"]))
def test_anything_behind_a_magic_gives_a_rejection(body: bytes, kind: str) -> None:
    with pytest.raises(ImageRejected):
        decode_image(FILES[kind][:16] + body)
