"""EXIF data may be damaged in any way; the picture is still read."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.imaging import decode_image
from recon_service.imaging.exif import CameraFacts, read_exif, turn_upright
from tests.images import encoded, exif_block, portrait


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_with_and_without_prefix(order: str) -> None:
    block = exif_block(orientation=7, focal_35mm=31, order=order)
    assert read_exif(block) == CameraFacts(orientation=7, focal_35mm=31.0)
    assert read_exif(block.removeprefix(b"Exif\x00\x00")) == CameraFacts(orientation=7, focal_35mm=31.0)


@given(st.binary(max_size=200))
def test_any_bytes_give_facts(block: bytes) -> None:
    facts = read_exif(b"Exif\x00\x00II*\x00" + block)
    assert 1 <= facts.orientation <= 8


def test_a_directory_that_points_at_itself_ends() -> None:
    tiff = (
        b"II*\x00"
        + struct.pack("<I", 8)
        + struct.pack("<H", 1)
        + struct.pack("<HHII", 0x8769, 4, 1, 8)
        + b"\x08\0\0\0"
    )
    assert read_exif(tiff) == CameraFacts()
    content = encoded(portrait("astronaut"), "JPEG", exif=b"Exif\x00\x00" + tiff)
    assert decode_image(content).pixels.shape == (512, 512, 3)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientations_that_do_not_exist_turn_nothing(orientation: int) -> None:
    assert read_exif(exif_block(orientation=orientation)).orientation == 1


def test_a_cut_block_says_what_is_left_of_it_or_nothing() -> None:
    block = exif_block(orientation=6, focal_35mm=26)
    for length in range(len(block)):
        read = read_exif(block[:length])
        assert read.orientation in (1, 6)
        assert read.focal_35mm in (None, 26.0)


def test_four_quarter_turns_and_two_mirrors_are_nothing() -> None:
    pixels = portrait("astronaut")[:7, :5].copy()
    for orientation, times in ((6, 4), (8, 4), (3, 2), (2, 2), (4, 2), (5, 2), (7, 2)):
        turned = pixels
        for _ in range(times):
            turned = turn_upright(turned, orientation)
        np.testing.assert_array_equal(turned, pixels)
    np.testing.assert_array_equal(turn_upright(turn_upright(pixels, 6), 8), pixels)
