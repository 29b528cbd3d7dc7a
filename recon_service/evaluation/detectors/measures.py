"""What is counted: verification in folds, ROC, detection, steadiness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.evaluation.detectors.pairs import Pair
from recon_service.evaluation.metrics import area_under_curve, equal_error_rate

NO_FACE_SCORE = -1.0
"""Of a pair in which a face was not found: no cosine is lower, so that a detector gains nothing by missing
the difficult pictures.
"""


@dataclass(frozen=True, slots=True)
class Verification:
    """accuracy, accuracy_sd: mean and standard deviation over the folds. scores, genuine: (P,)."""

    accuracy: float
    accuracy_sd: float
    auc: float
    eer: float
    scores: Array
    genuine: NDArray[np.bool_]


def verification(pairs: Sequence[Pair], vectors: Mapping[str, Array]) -> Verification:
    """vectors: unit vectors by picture; a picture without a face has none."""
    scores = np.array(
        [
            float(vectors[pair.first] @ vectors[pair.second])
            if pair.first in vectors and pair.second in vectors
            else NO_FACE_SCORE
            for pair in pairs
        ]
    )
    genuine = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    accuracies = fold_accuracies(scores, genuine, folds)
    return Verification(
        accuracy=float(accuracies.mean()),
        accuracy_sd=float(accuracies.std()),
        auc=area_under_curve(scores[genuine], scores[~genuine]),
        eer=equal_error_rate(scores[genuine], scores[~genuine]),
        scores=scores,
        genuine=genuine,
    )


def fold_accuracies(scores: Array, genuine: NDArray[np.bool_], folds: NDArray[np.int64]) -> Array:
    """(F,) accuracy in each fold at the threshold that is best in all other folds (the protocol of LFW)."""
    found = []
    for fold in np.unique(folds):
        here = folds == fold
        if here.all():
            threshold = best_threshold(scores, genuine)
        else:
            threshold = best_threshold(scores[~here], genuine[~here])
        found.append(((scores[here] > threshold) == genuine[here]).mean())
    return np.array(found)


def best_threshold(scores: Array, genuine: NDArray[np.bool_]) -> float:
    """Between two scores, with the most right decisions (a score above it is a match); of several the
    middle.
    """
    levels, which = np.unique(scores, return_inverse=True)
    matches = np.bincount(which, genuine, len(levels))
    others = np.bincount(which, ~genuine, len(levels))
    # Right decisions with the threshold below all levels, then above each.
    right = np.concatenate([[matches.sum()], matches.sum() - np.cumsum(matches) + np.cumsum(others)])
    best = np.flatnonzero(right == right.max())
    place = best[len(best) // 2]
    edges = np.concatenate([[levels[0] - 1], (levels[:-1] + levels[1:]) / 2, [levels[-1] + 1]])
    return float(edges[place])


def spread(points: Sequence[Array]) -> float:
    """Root mean square distance of each landmark (N, 2) to its mean over the views, pixels."""
    stacked = np.stack(points)
    return float(np.sqrt(((stacked - stacked.mean(axis=0)) ** 2).sum(axis=2).mean()))
