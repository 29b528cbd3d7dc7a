"""Pixels through a map of the plane."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.alignment.similarity import inverse, scale_of
from recon_service.domain.arrays import Array


def sampled(pixels: NDArray[np.uint8], affine: Array, size: int) -> NDArray[np.uint8]:
    """(size, size, 3) uint8: the picture through ``affine`` (2, 3), from its pixels to those of the result.

    Pixels count from their centers; black beyond the picture. Bilinear; where the picture shrinks to half or
    less it is averaged over whole blocks first, since bilinear sampling would skip pixels.
    """
    shrink = int(1 / max(scale_of(affine), 1e-9))
    if shrink >= 2:
        pixels, affine = _averaged(pixels, affine, size, shrink)
    taken = cv2.warpAffine(pixels, affine, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(taken, dtype=np.uint8)


def _averaged(
    pixels: NDArray[np.uint8], affine: Array, size: int, factor: int
) -> tuple[NDArray[np.uint8], Array]:
    """The part of the picture that the result shows, averaged over blocks of ``factor``, and the map from
    it.
    """
    back = inverse(affine)
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ back[:, :2].T + back[:, 2]
    height, width = pixels.shape[:2]
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2 * factor, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2 * factor, low + 1, [width, height])
    # A last block that is not whole is filled by repeating the edge, so that no pixel of the part is lost.
    count = -(-(high - low) // factor)
    right, bottom = count * factor - (high - low)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    whole = cv2.copyMakeBorder(part, 0, int(bottom), 0, int(right), cv2.BORDER_REPLICATE)
    small = cv2.resize(whole, (int(count[0]), int(count[1])), interpolation=cv2.INTER_AREA)
    # Pixel i of the part covers factor pixels from low + factor * i: its center lies (factor - 1) / 2
    # further.
    to_image = np.array([[factor, 0, low[0] + (factor - 1) / 2], [0, factor, low[1] + (factor - 1) / 2]])
    chained = affine[:, :2] @ to_image
    chained[:, 2] += affine[:, 2]
    return np.asarray(small, dtype=np.uint8), chained
