"""Optical flow between textures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.matching.flow import motions

MIDDLE = 128


def texture(seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).standard_normal((240, 200)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(MIDDLE + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def grid() -> NDArray[np.int64]:
    x, y = np.meshgrid(np.arange(40, 160, 6), np.arange(40, 200, 6))
    return np.stack([x.ravel(), y.ravel()], axis=1)


def shifted(pixels: NDArray[np.uint8], x: float, y: float) -> NDArray[np.uint8]:
    matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    return np.asarray(cv2.warpAffine(pixels, matrix, (200, 240), flags=cv2.INTER_CUBIC, borderValue=MIDDLE))


def test_a_known_motion_is_found_to_a_fraction_of_a_texel() -> None:
    first = texture(0)
    found = motions(first, shifted(first, 2.3, -1.6), grid(), outside=MIDDLE)
    off = found.motion - [2.3, -1.6]
    assert np.linalg.norm(off.mean(axis=0)) < 0.06
    assert np.median(np.linalg.norm(off, axis=1)) < 0.1
    assert np.median(found.disagreement) < 0.1
    assert np.median(found.likeness) > 0.97


def test_swapping_the_textures_turns_the_motion_round() -> None:
    first = texture(0)
    second = shifted(first, 1.0, 2.0)
    forth = motions(first, second, grid(), outside=MIDDLE).motion
    back = motions(second, first, grid() + np.array([1, 2]), outside=MIDDLE).motion
    assert np.median(np.linalg.norm(forth + back, axis=1)) < 0.06


def test_skins_that_have_nothing_in_common_are_not_alike() -> None:
    found = motions(texture(0), texture(1), grid(), outside=MIDDLE)
    agreeing = (found.disagreement < 0.5) & (found.likeness > 0.6)
    assert agreeing.mean() < 0.1
