"""Error versus discard (ISO/IEC 29794-1): whether a quality score tells beforehand which samples will fail.

Samples are discarded from the lowest quality on; the curve is the share of the remaining genuine comparisons
that miss a threshold which stays where it was. A quality that says nothing leaves it flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class DiscardCurve:
    """discarded: (n,) rising shares. fnmr: (n,) of what is left. area: under the curve up to the last share,
    over that of a flat one: 1 says nothing, below 1 the quality predicts errors. best: the same for a quality
    that knows the scores.
    """

    discarded: tuple[float, ...]
    fnmr: tuple[float, ...]
    area: float
    best: float


def discard_curve(
    genuine: Array, quality: Array, *, threshold: float, most: float = 0.5, steps: int = 50
) -> DiscardCurve:
    """The curve of genuine scores (n,) with the quality (n,) of each comparison's worse sample. Of equal
    qualities the same share of every score is discarded. Raises InvalidValue where nothing fails.
    """
    if len(genuine) != len(quality) or not len(genuine) or not 0 < most < 1:
        raise InvalidValue(
            "a discard curve needs a quality for every genuine comparison, and a share below 1"
        )
    missed = (genuine < threshold).astype(np.float64)
    if not missed.any():
        raise InvalidValue("no genuine comparison misses the threshold: there is no error to predict")
    shares = np.linspace(0.0, most, steps)
    rates = _left(missed, quality, shares)
    flat = float(missed.mean()) * most
    best = _left(missed, genuine, shares)
    return DiscardCurve(
        tuple(shares.tolist()),
        tuple(rates.tolist()),
        float(np.trapezoid(rates, shares)) / flat,
        float(np.trapezoid(best, shares)) / flat,
    )


def _left(missed: Array, quality: Array, shares: Array) -> Array:
    """(n,) the rate among what is left, ties taken in proportion."""
    levels, place = np.unique(quality, return_inverse=True)
    count = np.bincount(place, minlength=len(levels)).astype(np.float64)
    failed = np.bincount(place, missed, minlength=len(levels))
    total = count.sum()
    gone = np.minimum(np.maximum(shares[:, None] * total - (np.cumsum(count) - count), 0.0), count)
    return np.asarray((failed.sum() - (gone / count) @ failed) / (total - gone.sum(axis=1)))
