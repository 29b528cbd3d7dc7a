"""When somebody who was found among many is a candidate: the threshold grows with the number searched.

A search among N people makes N comparisons, each of which may match falsely. For ratios that are what they
say, P(ratio >= e^t | two people) <= e^-t (Markov: the mean of the ratio over pairs of two people is 1), so
that the rate of searches with any false candidate above t is at most N e^-t: the false positive
identification rate (ISO/IEC 19795-1) is held by

    t = log(N / rate),

which is also where the posterior odds stand when every one of the N is as likely before the search. A claim
of that kind rests on the tail of the ratios, so that it counts as supported only where the comparisons on
people that the calibration was measured on bound the false match rate at t by rate / N.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from recon_service.comparison.calibration import Calibration, PairKey
from recon_service.comparison.claims import upper_bound
from recon_service.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class IdentificationPolicy:
    """name: with its version. false_positives: share of the searches of people who are not enrolled that may
    give a candidate above the threshold. list_above: natural log-likelihood ratio from which somebody is
    listed at all, as a lead for a person to check. least_frames: usable depth frames of a candidate above
    the threshold. confidence: of the claim.
    """

    name: str
    false_positives: float
    list_above: float
    least_frames: int = 1
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not (0 < self.false_positives < 1 and 0.5 <= self.confidence < 1 and self.least_frames >= 1):
            raise InvalidValue("a policy for identification needs a rate and a confidence between 0 and 1")

    def threshold(self, searched: int) -> float:
        """The ratio (natural logarithm) that a candidate among so many must reach; not below
        ``list_above``.
        """
        return max(self.list_above, math.log(max(1, searched) / self.false_positives))

    def supported(self, searched: int, calibration: Calibration, pairs: Iterable[PairKey]) -> bool:
        """Whether what was measured of these pairs of kinds bears the claim for so many people."""
        threshold = self.threshold(searched)
        for key in pairs:
            pair = calibration.pairs.get(key) or calibration.pairs.get(key[::-1])
            if pair is None or pair.measured is None:
                return False
            if upper_bound(pair.measured, threshold, self.confidence) * searched > self.false_positives:
                return False
        return True


PILOT: Final = IdentificationPolicy(
    "pilot-identification-1", false_positives=0.05, list_above=2.0, least_frames=2
)
"""One search of a stranger in twenty may give a candidate. What was measured bears that for 82 references on
simulated cameras, and for none on real ones (docs/identification.md).
"""
