"""Whether the face has contrast, and where its dark and bright ends are."""

from __future__ import annotations

from typing import Final

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.scale import Scale, measure

DARK_LUMA: Final = 25.0
BRIGHT_LUMA: Final = 247.0
DEVIATION: Final = Scale(0.0, 8.0, 16.0, 30.0)
"""Luma; a face in fog or behind a smeared lens is below 10."""
ENTROPY: Final = Scale(2.0, 4.5, 5.8, 7.0)
"""Bits of a histogram of 256."""
ENDS: Final = Scale(1.0, 0.5, 0.25, 0.0)
"""Share of the face; hair and brows are in the patch, and dark on many people."""
BURNT: Final = Scale(0.6, 0.2, 0.06, 0.0)


def luminance_variance(patch: Array) -> QualityMeasure:
    """raw: standard deviation of the face's luma."""
    raw = float(patch.std())
    hint = "Wipe the lens; go where the light shows your face clearly."
    return measure(
        "luminance_variance", raw, "luma", DEVIATION.score(raw), hint, code="low-contrast", advice=True
    )


def dynamic_range(patch: Array) -> QualityMeasure:
    """raw: entropy of the face's luma, bits, 0 to 8."""
    counts = np.bincount(np.clip(np.rint(patch), 0, 255).astype(np.int64).ravel(), minlength=256)
    share = counts[counts > 0] / counts.sum()
    raw = max(0.0, float(-(share * np.log2(share)).sum()))
    hint = "Go where the light shows your face clearly."
    return measure("dynamic_range", raw, "bits", ENTROPY.score(raw), hint, code="few-shades", advice=True)


def under_exposure(patch: Array) -> QualityMeasure:
    """raw: share of the face that is nearly black."""
    raw = float((patch <= DARK_LUMA).mean())
    hint = "Your face needs more light; do not stand with your back to a window."
    return measure("under_exposure", raw, "share", ENDS.score(raw), hint, code="too-dark", advice=True)


def over_exposure(patch: Array) -> QualityMeasure:
    """raw: share of the face that is nearly white."""
    raw = float((patch >= BRIGHT_LUMA).mean())
    hint = "There is too much light on your face; turn away from the window or the lamp."
    return measure("over_exposure", raw, "share", BURNT.score(raw), hint, code="too-bright", advice=True)
