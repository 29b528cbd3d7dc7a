"""Learn how a pair of kinds of evidence errs: the model of its score, and the map of the score to a
log-likelihood ratio.

Few people are many captures but few differences between people: what is estimated from captures (the spread
within a person) is taken almost as it is, what is estimated from people (the spread between them) is drawn
toward the model's prior, and the map is learned from scores of people whom the model did not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.comparison.calibration import PairCalibration
from recon_service.comparison.pair_score import PairScore
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.calibration import learned_map
from recon_service.evaluation.comparisons import Comparisons, Observed, apart
from recon_service.evaluation.split import SubjectSplit

INNER_FOLDS = 4
"""In how many parts the people learned from are left out, to get scores for the map."""
INNER_LEAST = 3
PER_PERSON = 30
"""Observations of each person and side that the map is learned from."""
FLOOR = 0.05
"""Gains are inverted no further: modes that a side hardly sees say nothing of the spread between people."""


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """How far estimates are drawn toward what is known without them. Chosen among few by nested
    cross-validation (``benchmarks/calibration_choices.py``, docs/calibration.md).

    within: share of the mean variance put on the diagonal. between_one_kind, between_kinds: share of the
    model's own prior (times the one scale that fits) in the spread between people, for two sides of one
    kind and of two.
    """

    within: float = 0.15
    between_one_kind: float = 0.5
    between_kinds: float = 0.9


DEFAULT = Shrinkage()


def learned_pair(
    first: Observed,
    second: Observed,
    *,
    one_kind: bool,
    folds: int = INNER_FOLDS,
    shrinkage: Shrinkage = DEFAULT,
) -> PairCalibration:
    """Model and map of a pair from observations of both sides. one_kind: the sides are the same and share
    everything. Raises InvalidValue for too few people.
    """
    return PairCalibration(
        learned_score(first, second, one_kind=one_kind, shrinkage=shrinkage),
        cross_fitted_map(first, second, one_kind=one_kind, folds=folds, shrinkage=shrinkage),
    )


def cross_fitted_map(
    first: Observed, second: Observed, *, one_kind: bool, folds: int, shrinkage: Shrinkage = DEFAULT
) -> ScoreMap:
    """The score map, learned from scores of people whom their models did not see."""
    some = some_of_each(first), some_of_each(second)
    people = sorted({*some[0].person.tolist(), *some[1].person.tolist()})
    pairs = learning_pairs(*some)
    scores = inner_split(people, folds).scored(
        *some,
        pairs,
        learn=lambda a, b: learned_score(a, b, one_kind=one_kind, shrinkage=shrinkage),
        score=lambda learned, a, b, here: learned.of_pairs(a.mean, b.mean, here.reference, here.probe),
    )
    genuine = some[0].person[pairs.reference] == some[1].person[pairs.probe]
    if not genuine.any() or genuine.all():
        raise InvalidValue("a calibration needs genuine and impostor comparisons")
    return learned_map(scores[genuine], scores[~genuine], people=len(people))


def learned_score(
    first: Observed, second: Observed, *, one_kind: bool, shrinkage: Shrinkage = DEFAULT
) -> PairScore:
    """The model of a pair's score (``comparison/pair_score.py``)."""
    if one_kind:
        first = second = Observed.joined(first, second)
    sides = (first,) if one_kind else (first, second)
    means = [person_means(side) for side in sides]
    centers = [np.mean(list(one.values()), axis=0) for one in means]
    k = first.mean.shape[1]
    identity = np.eye(k)
    squares, freedom = np.zeros((k, k)), 0
    for side, known in zip(sides, means, strict=True):
        deviations = side.mean - np.stack([known[str(name)] for name in side.person])
        squares += deviations.T @ deviations
        freedom += len(deviations) - len(known)
    both = sorted(set(means[0]) & set(means[-1]))
    if len(both) < 2:
        raise InvalidValue("a calibration needs two people or more")
    moved = [
        np.stack([known[name] - center for name in both])
        for known, center in zip(means, centers, strict=True)
    ]
    within = squares / freedom if freedom else np.zeros((k, k))
    if not one_kind:
        # What the two kinds differ by is seen on their pairs: the gap that is constant for a person, and what
        # each side varies by.
        within = _differences(sides, centers, both) / 2
    elif not freedom:
        raise InvalidValue("a calibration needs several observations of a person")
    share = shrinkage.within
    within = (1 - share) * within + share * np.trace(within) / k * identity
    gains = [identity - side.covariance.mean(axis=0) for side in sides]
    middle, gain = np.mean(moved, axis=0), np.mean(gains, axis=0)
    seen = middle.T @ middle / (len(both) - 1)
    solved = np.linalg.solve(within, np.stack([seen, gain @ gain.T]))
    scale = float(np.trace(solved[0]) / np.trace(solved[1]))
    back = np.linalg.inv(gain + FLOOR * identity)
    share = shrinkage.between_one_kind if one_kind else shrinkage.between_kinds
    between = share * scale * identity + (1 - share) * back @ seen @ back.T
    return PairScore(
        (centers[0], centers[-1]), (gains[0], gains[-1]), within, np.asarray((between + between.T) / 2)
    )


def _differences(sides: Sequence[Observed], centers: Sequence[Array], people: Sequence[str]) -> Array:
    """(K, K) mean over people of the mean outer product of the differences between their two sides."""
    total = np.zeros((len(centers[0]), len(centers[0])))
    for name in people:
        first, second = (
            side.mean[side.person == name] - center for side, center in zip(sides, centers, strict=True)
        )
        middles = first.mean(axis=0) - second.mean(axis=0)
        total += np.outer(middles, middles)
        total += sum(np.atleast_2d(np.cov(side, rowvar=False, bias=True)) for side in (first, second))
    return np.asarray(total / (len(people) - 1))


def person_means(side: Observed) -> dict[str, Array]:
    """Mean of each person's observations, by name."""
    return {str(name): side.mean[side.person == name].mean(axis=0) for name in np.unique(side.person)}


def learning_pairs(first: Observed, second: Observed) -> Comparisons:
    """Every observation against every other that shares no group with it and is not the same."""
    allowed = apart(list(first.groups), list(second.groups))
    same = (first.mean[:, None, :4] == second.mean[None, :, :4]).all(axis=2)
    reference, probe = np.nonzero(allowed & ~same)
    return Comparisons(reference, probe)


def inner_split(people: Sequence[str], folds: int) -> SubjectSplit:
    """The fewest parts, from ``folds`` on, of which any two may be left out."""
    for count in range(min(folds, len(people)), len(people)):
        try:
            return SubjectSplit.of(people, folds=count, least=INNER_LEAST)
        except InvalidValue:
            continue
    return SubjectSplit.of(people, folds=len(people), least=INNER_LEAST)


def some_of_each(side: Observed) -> Observed:
    """Up to ``PER_PERSON`` observations of each person, spread over all of theirs."""
    rows: list[NDArray[np.int64]] = [np.flatnonzero(side.person == name) for name in np.unique(side.person)]
    return side.take(
        np.concatenate(
            [r[np.linspace(0, len(r) - 1, min(PER_PERSON, len(r))).astype(np.int64)] for r in rows]
        )
    )
