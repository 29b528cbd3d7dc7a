"""What several frames of one visit say together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from recon_service.presentation_attack.surface import FaceSurface


def least_change(faces: Sequence[FaceSurface]) -> float | None:
    """Share of the face's pixels whose measured depth differs between the two frames most alike: a sensor
    never measures the same twice, so frames that agree to the bit were recorded and played back. None for a
    single frame.
    """
    shares = [
        float((one.raw != other.raw)[one.outline | other.outline].mean())
        for one, other in combinations(faces, 2)
        if one.raw.shape == other.raw.shape
    ]
    return min(shares) if shares else None
