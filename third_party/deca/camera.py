"""From FLAME's meters to pixels of the encoder's input: weak perspective."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from third_party.deca.crop import INPUT_SIDE


def to_input(points: NDArray[np.float64], scale: float, offset: tuple[float, float]) -> NDArray[np.float64]:
    """(N, 3) in pixels of the input; the third grows away from the viewer, in the same unit.

    x and y are shifted, scaled and y turned down; one unit is half a side: pixel = (v + 1) · 112.
    """
    moved = (points + np.array([*offset, 0.0])) * scale
    seen = moved * np.array([1.0, -1.0, -1.0])
    half = INPUT_SIDE / 2
    return seen * half + np.array([half, half, 0.0])
