"""How far the skin of one texture lies from the same skin of another: dense inverse-search optical flow
(Kroeger et al.), forth and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.matching.neighborhood import blurred_half

FINEST_SCALE = 0
"""Flow is searched down to single texels. OpenCV's presets stop at half or a quarter of the resolution, which
is enough to see motion but not to measure a face (docs/adr/0036)."""
SMOOTHING = 0
"""Variational refinement costs a fifth of the time and changes nothing that can be measured: thousands of
matches are smoothed by the model itself."""
CLOSE = 4
"""Texels between patches, so that each texel lies on four of them."""
NEIGHBORHOOD = 4.0
"""Standard deviation in texels of the neighborhood whose likeness is judged."""
FLAT = 1.0


@dataclass(frozen=True, slots=True)
class Motions:
    """Where the skin at N texels of one texture lies in another. motion: (N, 2) texels. disagreement: (N,)
    texels between the flow forth and the flow back. likeness: (N,) correlation of the neighborhoods once the
    motion is undone, -1 to 1.
    """

    motion: Array
    disagreement: Array
    likeness: Array


def motions(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    texels: NDArray[np.int64],
    *,
    outside: int,
    stride: int = CLOSE,
) -> Motions:
    """The motion of the skin at texels (N, 2) (x, y) of the first texture (H, W) to the second. outside: the
    value of both where nothing is seen, which is also their local mean. stride: between patches of 8 texels
    that are looked for.

    The motion is the mean of the flow forth and the flow back: neither texture is the reference.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow.setUseMeanNormalization(True)
    flow.setFinestScale(FINEST_SCALE)
    flow.setVariationalRefinementIterations(SMOOTHING)
    flow.setPatchStride(stride)
    # A start must be given: for None, some builds of OpenCV hand in memory that was not cleared.
    nothing = np.zeros((*first.shape, 2), dtype=np.float32)
    forth = flow.calc(first, second, nothing.copy())
    back = flow.calc(second, first, nothing)
    across, down = texels.T
    move = forth[down, across]
    landed = (texels + move).astype(np.float32)
    there = cv2.remap(back, landed[None, :, 0], landed[None, :, 1], cv2.INTER_LINEAR)[0]
    return Motions(
        np.asarray((move - there) / 2, dtype=np.float64),
        np.linalg.norm(move + there, axis=1),
        _likeness(first, second, forth, outside)[down // 2, across // 2].astype(np.float64),
    )


def _likeness(
    first: NDArray[np.uint8], second: NDArray[np.uint8], flow: NDArray[Any], outside: int
) -> NDArray[np.float32]:
    """Correlation of the neighborhoods of each second texel of the first (H, W), and of where it went."""
    height, width = first.shape
    here = first.astype(np.float32) - outside
    there = second.astype(np.float32) - outside
    x = np.arange(width, dtype=np.float32) + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    moved = np.asarray(cv2.remap(there, x, y, cv2.INTER_LINEAR), dtype=np.float32)
    together, one, other = (
        blurred_half(part, NEIGHBORHOOD) for part in (here * moved, here * here, moved * moved)
    )
    return np.asarray(together / np.sqrt(np.maximum(one, FLAT) * np.maximum(other, FLAT)), dtype=np.float32)
