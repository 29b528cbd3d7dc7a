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


def sharpness(patch: Array, *, limits: QualityLimits) -> QualityMeasure:
    """raw: fine detail over all detail: SD of what a blur of 1 pixel takes away over SD of what a blur of 4
    takes away.

    Measured on the patch of fixed size, so the size of the face does not matter; as a ratio, so light and
    contrast do not either.
    """
    fine = float(np.std(patch - cv2.GaussianBlur(patch, (0, 0), FINE_SIGMA)))
    coarse = float(np.std(patch - cv2.GaussianBlur(patch, (0, 0), COARSE_SIGMA)))
    raw = fine / coarse if coarse > 1e-6 else 0.0
    scale = Scale(0.0, limits.min_sharpness, limits.good_sharpness, 1.5 * limits.good_sharpness)
    return measure(
        "sharpness",
        raw,
        "ratio",
        scale.score(raw),
        "Hold the phone still, wipe the lens, and tap on your face to focus.",
        code="blurred",
    )
