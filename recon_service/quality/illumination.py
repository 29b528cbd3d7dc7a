"""Whether the light comes from one side."""

from __future__ import annotations

from typing import Final

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.scale import Scale, measure

LUMA: Final = np.array([0.299, 0.587, 0.114])
BALANCE: Final = Scale(0.1, 0.35, 0.6, 0.9)


def illumination_uniformity(right: Array, left: Array) -> QualityMeasure | None:
    """raw: mean luma of the darker cheek over that of the brighter one, 0 to 1.

    right, left: (n, 3), (m, 3) RGB of the cheeks; None where one of them is outside the picture.
    """
    if len(right) == 0 or len(left) == 0:
        return None
    means = [float((side @ LUMA).mean()) for side in (right, left)]
    raw = (min(means) + 1.0) / (max(means) + 1.0)
    darker = "right" if means[0] < means[1] else "left"
    return measure(
        "illumination_uniformity",
        raw,
        "ratio",
        BALANCE.score(raw),
        f"Turn the {darker} side of your face a little toward the light.",
        code="light-from-one-side",
        advice=True,
    )
