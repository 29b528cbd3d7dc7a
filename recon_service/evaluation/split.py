"""What may be learned for a comparison: only what other people gave.

``SubjectSplit.scored`` is the only door to learned scores. It hands the learning function observations of
other people and the scoring function those of the people compared, so that neither can see what it must not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TypeVar

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.comparisons import Comparisons, Observed

Learned = TypeVar("Learned")

MAX_FOLDS = 12
"""Up to so many people are left out one by one; more are left out in so many groups."""
MIN_LEARNED = 5
"""A calibration learned on fewer other people is no knowledge: two of them are left out in turn once more,
for the map of the score.
"""


@dataclass(frozen=True, slots=True)
class SubjectSplit:
    """People in folds; a comparison of folds f and g uses what was learned without both.

    least: how many people must be left to learn from.
    """

    folds: tuple[frozenset[str], ...]
    least: int = MIN_LEARNED

    def __post_init__(self) -> None:
        sizes = sorted((len(fold) for fold in self.folds), reverse=True)
        if sum(sizes) != len(frozenset().union(*self.folds)) or not all(sizes):
            raise InvalidValue("the folds of a split must be disjoint and not empty")
        if sum(sizes) - sum(sizes[:2]) < self.least:
            raise InvalidValue(
                f"{sum(sizes)} people are too few to learn on others: {self.least + 2} at least",
                next_step="Evaluate without --cross-validate, or more people.",
            )

    @classmethod
    def of(cls, people: Sequence[str], *, folds: int = MAX_FOLDS, least: int = MIN_LEARNED) -> SubjectSplit:
        """The people dealt out to folds in the order of their names. least: people that must be left to
        learn from.
        """
        names = sorted(set(people))
        return cls(tuple(frozenset(names[at::folds]) for at in range(min(folds, len(names)))), least)

    def scored(
        self,
        references: Observed,
        probes: Observed,
        pairs: Comparisons,
        *,
        learn: Callable[[Observed, Observed], Learned],
        score: Callable[[Learned, Observed, Observed, Comparisons], Array],
    ) -> Array:
        """(m,) scores of the pairs.

        learn: from the references and probes of other people. score: with that, the pairs of the references
        and probes of the two folds compared.
        """
        fold_of = {name: number for number, fold in enumerate(self.folds) for name in fold}
        owners = [
            np.array([fold_of[str(name)] for name in side.person], dtype=np.int64)
            for side in (references, probes)
        ]
        first, second = owners[0][pairs.reference], owners[1][pairs.probe]
        result = np.full(len(pairs), np.nan)
        for f, g in combinations_with_replacement(range(len(self.folds)), 2):
            chosen = ((first == f) & (second == g)) | ((first == g) & (second == f))
            if not chosen.any():
                continue
            tested = [np.isin(owner, (f, g)) for owner in owners]
            learned = learn(references.take(~tested[0]), probes.take(~tested[1]))
            # Row numbers among the tested ones only.
            places = [np.cumsum(mask) - 1 for mask in tested]
            here = Comparisons(places[0][pairs.reference[chosen]], places[1][pairs.probe[chosen]])
            result[chosen] = score(learned, references.take(tested[0]), probes.take(tested[1]), here)
        return result
