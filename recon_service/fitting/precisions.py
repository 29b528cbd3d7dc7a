"""Constant arrays of a term in both precisions of a fit, each made once it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from recon_service.domain.arrays import AnyArray


class Precisions:
    """Arrays that are read in every linearization."""

    def __init__(self, *arrays: AnyArray) -> None:
        self._made: dict[type[Any], tuple[AnyArray, ...]] = {np.float64: arrays}

    def of(self, precision: type[Any]) -> tuple[AnyArray, ...]:
        """The arrays as numbers of ``precision``, in the given order."""
        made = self._made.get(precision)
        if made is None:
            made = self._made[precision] = tuple(
                array.astype(precision, copy=False) for array in self._made[np.float64]
            )
        return made
