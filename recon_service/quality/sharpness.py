"""Whether the face is in focus and still."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.limits import QualityLimits
from recon_service.quality.scale import Scale, measure

FINE_SIGMA: Final = 1.0
COARSE_SIGMA: Final = 4.0
BROAD_SIGMA: Final = 8.0
WIDELY_BLURRED: Final = (0.53, 2.0)
"""Share of coarse in broad detail where raw is at the lower limit, and how fast it falls. Of 300 sharp
infrared faces and 150 rendered ones all lie above 0.58.
"""


def sharpness(patch: Array, *, limits: QualityLimits) -> QualityMeasure:
    """raw: fine detail over coarse detail: SD of what a blur of 1 pixel takes away over SD of what a blur
    of 4 takes away. Where a blur is so wide that it took both, the ratio says nothing and rises again: then
    what counts is how much coarse detail there is in what a blur of 8 takes away.

    Measured on the patch of fixed size, so the size of the face does not matter; as a ratio, so light and
    contrast do not either.
    """
    fine, coarse, broad = (
        float(np.std(patch - cv2.GaussianBlur(patch, (0, 0), sigma)))
        for sigma in (FINE_SIGMA, COARSE_SIGMA, BROAD_SIGMA)
    )
    raw = 0.0
    if coarse > 1e-6:
        share, slope = WIDELY_BLURRED
        raw = min(fine / coarse, max(0.0, limits.min_sharpness + slope * (coarse / broad - share)))
    scale = Scale(0.0, limits.min_sharpness, limits.good_sharpness, 1.5 * limits.good_sharpness)
    return measure(
        "sharpness",
        raw,
        "ratio",
        scale.score(raw),
        "Hold the phone still, wipe the lens, and tap on your face to focus.",
        code="blurred",
    )
