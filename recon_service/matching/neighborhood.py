"""Means over the neighborhood of each pixel, computed at half the resolution: what is left after blurring
over several pixels has nothing finer, and a quarter of the pixels takes a quarter of the time.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_HALVING_VARIANCE: Final = 1.0
"""Square pixels: of the kernel (1, 4, 6, 4, 1) / 16 that halving convolves with."""


def blurred_half(picture: Float32, sd: float) -> Float32:
    """(H, W) convolved with a Gaussian of ``sd`` pixels, more than one, at every second pixel:
    ((H + 1) // 2, (W + 1) // 2). Mirrored about the pixels of the border.
    """
    rest = 0.5 * float(np.sqrt(sd**2 - _HALVING_VARIANCE))
    return np.asarray(cv2.GaussianBlur(cv2.pyrDown(picture), (0, 0), rest), dtype=np.float32)


def doubled(half: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """(H, W) or (H, W, C) of ``shape``, of which half is every second pixel, (H + 1) // 2 by (W + 1) // 2:
    the mean of its neighbors between two. cv2.resize would shift by half a pixel.
    """
    if half.ndim == 3 and half.shape[2] == 2 and half.dtype == np.float32:
        # Pairs as complex numbers: numpy is slow along axes of two.
        pairs = np.ascontiguousarray(half).view(np.complex64)[..., 0]
        return doubled(pairs, shape)[..., None].view(np.float32)
    height, width = shape
    whole = np.empty((height, width, *half.shape[2:]), dtype=half.dtype)
    whole[::2, ::2] = half
    between = half[:-1] + half[1:]
    between *= 0.5
    whole[1 : 2 * len(between) : 2, ::2] = between
    if height % 2 == 0:
        whole[-1, ::2] = half[-1]
    across = whole[:, 0 : width - 2 : 2] + whole[:, 2::2]
    across *= 0.5
    whole[:, 1 : 2 * across.shape[1] : 2] = across
    if width % 2 == 0:
        whole[:, -1] = whole[:, -2]
    return whole
