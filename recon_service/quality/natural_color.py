"""Whether the skin has a color that skin has: colored light and wrong white balance."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.scale import Scale, measure

REDNESS: Final = (3.0, 30.0)
YELLOWNESS: Final = (2.0, 38.0)
"""Ranges of CIELAB a* and b* that skin of every shade has in white and indoor light."""
DISTANCE: Final = Scale(45.0, 20.0, 8.0, 0.0)


def natural_color(right: Array, left: Array) -> QualityMeasure | None:
    """raw: how far the mean a*, b* of the cheeks lie outside the range of skin, CIELAB units.

    None without cheeks, and for pictures without color (infrared): nothing is to be said of it there.
    """
    skin = np.concatenate([right, left])
    if len(skin) == 0 or np.ptp(skin, axis=1).max() == 0:
        return None
    mean = (skin.mean(axis=0) / 255.0).astype(np.float32)
    _, a, b = cv2.cvtColor(mean[None, None], cv2.COLOR_RGB2LAB)[0, 0]
    outside = [max(low - v, v - high, 0.0) for v, (low, high) in ((a, REDNESS), (b, YELLOWNESS))]
    raw = float(np.hypot(*outside))
    return measure(
        "natural_color",
        raw,
        "CIELAB",
        DISTANCE.score(raw),
        "Go out of the colored light.",
        code="colored-light",
        advice=True,
    )
