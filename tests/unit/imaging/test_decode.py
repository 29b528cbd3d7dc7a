"""Valid files of every accepted kind."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from recon_service.imaging import ImageLimits, decode_image
from recon_service.imaging.exif import turn_upright
from tests.images import encoded, exif_block, portrait, resized


def pillow_reads(content: bytes) -> np.ndarray:
    with PillowImage.open(io.BytesIO(content)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 90}),
        ("JPEG", {"quality": 90, "progressive": True}),
        ("JPEG", {"quality": 90, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"quality": 80}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_pixels_are_those_that_pillow_reads(kind: str, options: dict[str, object]) -> None:
    content = encoded(portrait("astronaut"), kind, **options)
    image = decode_image(content)
    np.testing.assert_array_equal(image.pixels, pillow_reads(content))
    assert image.focal_35mm is None


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_lossless_files_give_back_every_pixel(kind: str) -> None:
    pixels = portrait("grace_hopper")
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(decode_image(encoded(pixels, kind, **options)).pixels, pixels)


def test_heic_is_the_picture_up_to_its_compression() -> None:
    pixels = portrait("astronaut")
    image = decode_image(encoded(pixels, "HEIF", quality=95))
    assert image.pixels.shape == pixels.shape
    assert np.abs(image.pixels.astype(int) - pixels).mean() < 2.5


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_all_orientations_as_pillow_turns_them(kind: str, orientation: int, order: str) -> None:
    pixels = portrait("astronaut")[:200, :320]
    content = encoded(pixels, kind, exif=exif_block(orientation=orientation, focal_35mm=26, order=order))
    image = decode_image(content)
    np.testing.assert_array_equal(image.pixels, pillow_reads(content))
    assert image.pixels.shape[:2] == ((200, 320) if orientation < 5 else (320, 200))
    assert image.focal_35mm == 26.0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_by_its_container_and_not_again_by_its_exif(orientation: int) -> None:
    pixels = portrait("astronaut")[:200, :320]
    content = encoded(pixels, "HEIF", quality=95, exif=exif_block(orientation=orientation, focal_35mm=24))
    assert (b"irot" in content or b"imir" in content) == (orientation > 1)
    image, upright = decode_image(content), turn_upright(pixels, orientation)
    assert image.pixels.shape == upright.shape
    assert np.abs(image.pixels.astype(int) - upright).mean() < 2.5
    assert image.focal_35mm == 24.0


@pytest.mark.parametrize(
    ("stated", "believed"), [(0, None), (4, None), (10, 10.0), (26, 26.0), (300, 300.0), (65535, None)]
)
def test_implausible_focal_lengths_are_not_believed(stated: int, believed: float | None) -> None:
    content = encoded(portrait("astronaut"), "JPEG", exif=exif_block(focal_35mm=stated))
    assert decode_image(content).focal_35mm == believed


def test_gray_becomes_three_equal_channels() -> None:
    gray = PillowImage.fromarray(portrait("astronaut")).convert("L")
    for kind in ("JPEG", "PNG"):
        pixels = decode_image(encoded(gray, kind)).pixels
        assert (pixels[..., 0] == pixels[..., 1]).all()
        assert (pixels[..., 0] == pixels[..., 2]).all()


def test_palettes_and_bilevel_pictures_are_read() -> None:
    picture = PillowImage.fromarray(portrait("astronaut"))
    for mode in ("P", "1"):
        content = encoded(picture.convert(mode), "PNG")
        np.testing.assert_array_equal(decode_image(content).pixels, pillow_reads(content))


def test_transparency_lies_over_middle_gray() -> None:
    pixels = portrait("astronaut")
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:100] = 0
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        decoded = decode_image(encoded(np.dstack([pixels, alpha]), kind, **options)).pixels
        assert (decoded[:100] == 128).all()
        np.testing.assert_array_equal(decoded[100:], pixels[100:])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_large_pictures_are_shrunk_and_keep_their_aspect(kind: str) -> None:
    pixels = resized(portrait("grace_hopper"), 2.0)
    full = decode_image(encoded(pixels, kind, quality=90)).pixels
    small = decode_image(encoded(pixels, kind, quality=90), limits=ImageLimits(target_side=500)).pixels
    assert 375 <= max(small.shape) <= 500
    assert small.shape[1] / small.shape[0] == pytest.approx(full.shape[1] / full.shape[0], rel=0.01)
    # Shrunk, not cropped: the same means in all nine ninths of the picture.
    np.testing.assert_allclose(ninths(small), ninths(full), atol=2.0)


def ninths(pixels: np.ndarray) -> np.ndarray:
    return np.array(
        [[b.mean() for b in np.array_split(row, 3, axis=1)] for row in np.array_split(pixels, 3, axis=0)]
    )


def test_a_phones_second_picture_behind_the_first_is_ignored() -> None:
    first, second = (
        PillowImage.fromarray(portrait("astronaut")),
        PillowImage.fromarray(portrait("grace_hopper")),
    )
    content = encoded(first, "MPO", save_all=True, append_images=[second])
    np.testing.assert_array_equal(decode_image(content).pixels, pillow_reads(content))


def test_the_pixels_are_contiguous_rgb_bytes() -> None:
    image = decode_image(encoded(portrait("astronaut"), "JPEG", exif=exif_block(orientation=8)))
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous
