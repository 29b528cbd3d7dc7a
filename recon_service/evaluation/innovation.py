"""Whether a calibration is honest about one person: how far apart the two sides of genuine comparisons are,
in units of what it expects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.bootstrap import LEVEL
from recon_service.evaluation.comparisons import Comparisons
from recon_service.evaluation.pair_learning import learned_score
from recon_service.evaluation.scores import Sides
from recon_service.evaluation.split import SubjectSplit

LEADING_MODES = 12


@dataclass(frozen=True, slots=True)
class Innovation:
    """mean: of the normalized innovation over people, 1 for an honest calibration, more for one that is too
    sure. interval: 95 %, Student's t over people. modes: that it counts.
    """

    mean: float
    interval: tuple[float, float]
    modes: int


def normalized_innovation(sides: Sides, *, modes: int = LEADING_MODES) -> Innovation | None:
    """Over the genuine comparisons, by what was learned on other people; None where they are too few."""
    owners = sides.references.person[sides.pairs.reference], sides.probes.person[sides.pairs.probe]
    rows = np.flatnonzero(owners[0] == owners[1])
    genuine = Comparisons(sides.pairs.reference[rows], sides.pairs.probe[rows])
    try:
        values = SubjectSplit.of([*sides.references.person, *sides.probes.person]).scored(
            sides.references,
            sides.probes,
            genuine,
            learn=lambda a, b: learned_score(a, b, one_kind=sides.one_kind),
            score=lambda learned, a, b, pairs: learned.innovations(
                a.mean[pairs.reference], b.mean[pairs.probe], modes
            ),
        )
    except InvalidValue:
        return None
    people = owners[0][rows]
    means = np.array([values[people == name].mean() for name in np.unique(people)])
    if len(means) < 2:
        return None
    mean = float(means.mean())
    half = float(student.ppf((1 + LEVEL) / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means)))
    return Innovation(mean, (mean - half, mean + half), modes)
