"""What a calibration is learned from: both sides of a pair of kinds, as one row of one dataset gave them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.comparison.calibration import PairKey
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.evaluation.comparisons import Observed
from recon_service.evaluation.split import MAX_FOLDS

PARTS_OF_MANY = 6


@dataclass(frozen=True, slots=True)
class Material:
    """What one row of one dataset gave: both sides of a pair of kinds."""

    dataset: str
    kinds: PairKey
    first: Observed
    second: Observed

    @property
    def one_kind(self) -> bool:
        return self.kinds[0] == self.kinds[1]

    @property
    def general(self) -> PairKey:
        """The same pair of unknown origins."""
        return self.kinds[0].general, self.kinds[1].general


def material(dataset: str, first: Observed, second: Observed, counts: tuple[int, int]) -> Material:
    """One row's observations, without those that were not observed as most of their side were (a set of
    pictures whose skin could not be matched), and without those that lost a capture on the way: the service
    compares them as the kind that they then are. counts: captures of each side.
    """
    sides, kinds = [], []
    for side, count in zip((first, second), counts, strict=True):
        seen = [EvidenceKind.parse(str(kind)) for kind in side.kind]
        sources = np.array([kind.source for kind in seen])
        names, numbers = np.unique(sources, return_counts=True)
        chosen = str(names[np.argmax(numbers)])
        whole = np.array([kind.captures == count for kind in seen])
        sides.append(side.take((sources == chosen) & whole))
        kinds.append(EvidenceKind.of(chosen, count))
    return Material(dataset, (kinds[0], kinds[1]), sides[0], sides[1])


def parts_of(one: Material) -> int:
    """Few people are left out one by one, many in a few parts: with each part out, enough are left."""
    return MAX_FOLDS if len(np.unique(one.first.person)) <= MAX_FOLDS else PARTS_OF_MANY
