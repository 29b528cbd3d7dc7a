"""From a kind of evidence's own score to a calibrated log-likelihood ratio, and the sum of several kinds.

A *kind of evidence* is anything that compares a reference with a probe and says how much alike they are:
shape, appearance, whatever comes. Its score may have any unit. Its ``ScoreMap``, learned on other people and
kept by name in the calibration, turns the score into a natural log-likelihood ratio (one person against
two). Ratios of kinds that err independently add up; nothing else is needed to fuse them.

    llr(s) = robust(slope * s + offset),  robust(x) = log((e^x + d) / (1 + d e^x)),

with the slope not negative, so that the map never falls. The doubt d is the share of comparisons that tell
nothing although their score looks certain (two people who look alike, a spoiled capture): under the mixture
(1 - d') p(s | hypothesis) + d' p(s | the other) no score is worth more than log(1/d), which keeps one kind
from outvoting all others by a claim that so few people cannot support.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import overload

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue

SHAPE = "shape"
APPEARANCE = "appearance"


@dataclass(frozen=True, slots=True)
class ScoreMap:
    """score -> natural log-likelihood ratio, never falling, within ± log(1 / doubt).

    slope: not negative. doubt: 0 (unbounded) to below 1. people: how many it was learned on.
    """

    slope: float
    offset: float
    doubt: float = 0.0
    people: int = 0

    def __post_init__(self) -> None:
        if not (np.isfinite([self.slope, self.offset]).all() and self.slope >= 0):
            raise InvalidValue("a score map needs a finite slope that is not negative and a finite offset")
        if not 0 <= self.doubt < 1 or self.people < 0:
            raise InvalidValue("the doubt of a score map lies between 0 and 1")

    @property
    def limit(self) -> float:
        """No score is worth more than this, for or against."""
        return float(-np.log(self.doubt)) if self.doubt > 0 else float("inf")

    def least_score(self, llr: float) -> float:
        """The lowest score that is worth at least ``llr``: minus infinity where every score is, infinity
        where none is.
        """
        if llr <= -self.limit:
            return -float("inf")
        if llr >= self.limit:
            return float("inf")
        # robust(x) = llr solved for x: e^x = (e^llr - d) / (1 - d e^llr).
        x = float(np.log(np.exp(llr) - self.doubt) - np.log1p(-self.doubt * np.exp(llr)))
        if self.slope == 0:
            return -float("inf") if self.offset >= x else float("inf")
        return (x - self.offset) / self.slope

    @overload
    def __call__(self, score: float) -> float: ...
    @overload
    def __call__(self, score: Array) -> Array: ...
    def __call__(self, score: float | Array) -> float | Array:
        x = self.slope * np.asarray(score, dtype=np.float64) + self.offset
        if self.doubt > 0:
            # By its symmetry, and with e^-|x|: no difference of large numbers.
            t = np.exp(-np.abs(x))
            x = np.sign(x) * (np.log1p(self.doubt * t) - np.log(self.doubt + t))
        return float(x) if np.ndim(x) == 0 else x


def fused(ratios: Mapping[str, float | None]) -> float | None:
    """The log-likelihood ratio of all kinds together: their sum, by the name of the kind. None stands for a
    kind that gave nothing; None comes back if no kind gave anything.

    True for kinds that err independently given who is there. Shape from depth and appearance from a picture
    share pose and expression, but not what they measure.
    """
    given = [ratio for ratio in ratios.values() if ratio is not None]
    return float(sum(given)) if given else None
