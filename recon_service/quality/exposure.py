"""Whether the face is neither in the dark nor burnt out."""

from __future__ import annotations

from typing import Final

from recon_service.domain.arrays import Array
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.limits import QualityLimits
from recon_service.quality.scale import Scale, measure

BLACK_LUMA: Final = 4.0
WHITE_LUMA: Final = 251.0


def exposure(patch: Array, *, limits: QualityLimits) -> QualityMeasure:
    """raw: mean luma of the face, 0 to 255.

    The score is the worst of four: too dark, too bright, share of black, share of white.
    """
    raw = float(patch.mean())
    clipped = Scale(1.0, limits.max_clipped, limits.good_clipped, 0.0)
    dark = min(
        Scale(0.0, limits.min_brightness, limits.good_brightness, 2 * limits.good_brightness).score(raw),
        clipped.score(float((patch <= BLACK_LUMA).mean())),
    )
    bright = min(
        Scale(
            255.0, limits.max_brightness, limits.good_max_brightness, limits.good_max_brightness - 20
        ).score(raw),
        clipped.score(float((patch >= WHITE_LUMA).mean())),
    )
    hint = (
        "Your face needs more light; do not stand with your back to a window."
        if dark <= bright
        else "There is too much light on your face; turn away from the window or the lamp."
    )
    code = "too-dark" if dark <= bright else "too-bright"
    return measure("exposure", raw, "luma", min(dark, bright), hint, code=code)
