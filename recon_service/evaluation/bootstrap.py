"""95 % intervals by drawing people, not comparisons, with replacement: the comparisons of one person are not
independent.

A person drawn c times weighs c in the genuine comparisons, and a pair drawn c and d times weighs c·d in the
impostor comparisons; copies of a person are not compared with each other (Bolle, Ratha and Pankanti, Error
analysis of pattern recognition systems: the subsets bootstrap, CVIU 93, 2004).

For speed the scores of a resample are counted in bins; the bins are fine where error rates are read off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from recon_service.domain.arrays import Array

RESAMPLES = 500
QUANTILES = 150
"""Bin edges at as many quantiles of the genuine scores, of the impostor scores, of the genuine scores' lowest
2 % and of the impostor scores' highest 2 %.
"""
LEVEL = 0.95
MAX_SHIFT = 0.15
"""Least share of resamples on one side of the estimate that is believed."""


@dataclass(frozen=True, slots=True)
class Resample:
    """Rates of one resample at every bin edge, from 'match none' to 'match all', (bins + 1,) each."""

    fmr: Array
    fnmr: Array

    def equal_error_rate(self) -> float:
        """On the convex hull, as ``metrics.equal_error_rate``."""
        hull: list[tuple[float, float]] = []
        for x, y in zip(self.fmr.tolist(), self.fnmr.tolist(), strict=True):
            while len(hull) > 1 and (hull[-1][0] - hull[-2][0]) * (y - hull[-2][1]) <= (
                hull[-1][1] - hull[-2][1]
            ) * (x - hull[-2][0]):
                hull.pop()
            hull.append((x, y))
        for (x0, y0), (x1, y1) in pairwise(hull):
            if y0 - x0 >= 0 >= y1 - x1:
                return x0 + (y0 - x0) / max((y0 - x0) - (y1 - x1), 1e-300) * (x1 - x0)
        return hull[0][0]

    def fnmr_at(self, fmr: float) -> float:
        """At the lowest edge whose false match rate is at most ``fmr``."""
        return float(self.fnmr[np.flatnonzero(self.fmr <= fmr + 1e-12)[-1]])

    def area_under_curve(self) -> float:
        return float(np.trapezoid(1 - self.fnmr, self.fmr))


def resamples(
    scores: Array,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    people: int,
    *,
    seed: int = 0,
    count: int = RESAMPLES,
) -> Iterator[Resample]:
    """scores: (m,). first, second: (m,) number of the reference's and the probe's person, below ``people``.

    Draws in which one kind of comparison is missing are left out.
    """
    genuine = first == second
    edges = np.unique(
        np.concatenate(
            [
                np.quantile(scores[genuine], np.linspace(0, 1, QUANTILES)),
                np.quantile(scores[~genuine], np.linspace(0, 1, QUANTILES)),
                np.quantile(scores[genuine], np.linspace(0, 0.02, QUANTILES)),
                np.quantile(scores[~genuine], np.linspace(0.98, 1, QUANTILES)),
            ]
        )
    )
    place = np.searchsorted(edges, scores, "right")
    bins = len(edges) + 1
    g_place, g_person = place[genuine], first[genuine]
    i_place, i_first, i_second = place[~genuine], first[~genuine], second[~genuine]
    rng = np.random.default_rng(seed)
    for _ in range(count):
        copies = np.bincount(rng.integers(people, size=people), minlength=people).astype(np.float64)
        g = np.bincount(g_place, copies[g_person], bins)
        i = np.bincount(i_place, copies[i_first] * copies[i_second], bins)
        if g.sum() > 0 and i.sum() > 0:
            fmr = np.concatenate([[0.0], np.cumsum(i[::-1]) / i.sum()])
            fnmr = 1.0 - np.concatenate([[0.0], np.cumsum(g[::-1]) / g.sum()])
            yield Resample(fmr, np.clip(fnmr, 0.0, 1.0))


def interval(values: list[float], estimate: float, people: int) -> tuple[float, float] | None:
    """The 95 % interval of a statistic over the resamples; None without any.

    Two corrections for few people. Resamples are lumpier than the sample, and the convex hull makes lumpy
    error rates look smaller: the percentiles are moved by twice the median bias of the resamples against the
    estimate (Efron's bias-corrected percentiles, 1981). And a resample varies as if the variance were divided
    by n, not n - 1, and the normal quantile stands for Student's: the percentiles are moved outward
    (Hesterberg, What teachers should know about the bootstrap, The American Statistician 69(4), 2015).
    Without any error in any resample there is nothing to resample: the bound is then that of n people without
    an error (1 - 0.05^(1/n)).
    """
    if not values or people < 2:
        return None
    drawn = np.array(values)
    if estimate in (0.0, 1.0) and (drawn == estimate).all():
        # Nobody was missed, so no resample misses anybody: the share of people that n people still allow.
        bound = 1 - (1 - LEVEL) ** (1 / people)
        return (0.0, bound) if estimate == 0.0 else (1 - bound, 1.0)
    below = float((drawn < estimate).mean() + 0.5 * (drawn == estimate).mean())
    bias = float(ndtri(np.clip(below, MAX_SHIFT, 1 - MAX_SHIFT)))
    quantile = float(student.ppf((1 + LEVEL) / 2, people - 1) * np.sqrt(people / (people - 1)))
    low, high = np.quantile(drawn, ndtr([2 * bias - quantile, 2 * bias + quantile]))
    # A bias as large as the spread says that the resamples tell little: the estimate stays inside.
    return min(float(low), estimate), max(float(high), estimate)
