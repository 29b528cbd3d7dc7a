"""How far scores can be taken at their word: the best calibration in hindsight, and one that is learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression, minimize

from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue

MAX_SLOPE = 100.0
"""Perfectly separated scores would want an infinite one."""
MAX_DOUBT = 0.5
MAX_OFFSET = 2.0
"""A score of zero, where the model itself sees no evidence, is worth no more than this. Where people are far
apart, scores between the farthest genuine and the nearest impostor one were never seen, and a map would be
free to call all of them genuine: people more alike than those it was learned from would match.
"""
MOST_SCORES = 4000


def min_cllr(genuine: Array, impostor: Array) -> float:
    """The smallest Cllr, in bits, that any rising transformation of the scores can reach (Brümmer and du
    Preez, 2006): what the scores lose by not telling people apart; Cllr less this is lost by calibration.

    The best transformation is the isotonic regression of 'is genuine' on the scores (pool adjacent
    violators), with both kinds weighted to equal prior odds.
    """
    if len(genuine) == 0 or len(impostor) == 0:
        raise InvalidValue("a calibration needs genuine and impostor comparisons")
    scores = np.concatenate([genuine, impostor])
    levels, place = np.unique(scores, return_inverse=True)
    # Tied scores are one level: no transformation can part them.
    hits = np.bincount(place[: len(genuine)], minlength=len(levels)) / len(genuine)
    misses = np.bincount(place[len(genuine) :], minlength=len(levels)) / len(impostor)
    share = np.clip(isotonic_regression(hits / (hits + misses), weights=hits + misses).x, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        cost_genuine = np.where(hits > 0, -np.log2(share), 0.0)
        cost_impostor = np.where(misses > 0, -np.log2(1 - share), 0.0)
    return float(hits @ cost_genuine + misses @ cost_impostor) / 2


@dataclass(frozen=True, slots=True)
class AffineCalibration:
    """score -> slope * score + offset, meant to be a natural log-likelihood ratio."""

    slope: float
    offset: float

    @classmethod
    def learned(cls, genuine: Array, impostor: Array) -> AffineCalibration:
        """Logistic regression at equal prior odds: the slope (not negative) and offset of least Cllr."""
        scale = float(np.std(np.concatenate([genuine, impostor]))) or 1.0

        def cost(x: Array) -> tuple[float, Array]:
            g, i = (x[0] * s / scale + x[1] for s in (genuine, impostor))
            # d/dz log(1 + exp(-z)) = -1 / (1 + exp(z))
            dg, di = -np.exp(-np.logaddexp(0, g)), np.exp(-np.logaddexp(0, -i))
            slope = (dg * genuine).mean() / scale + (di * impostor).mean() / scale
            value = np.logaddexp(0, -g).mean() + np.logaddexp(0, i).mean()
            return float(value), np.array([slope, dg.mean() + di.mean()])

        found = minimize(
            cost, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, MAX_SLOPE), (None, None)]
        )
        return cls(float(found.x[0]) / scale, float(found.x[1]))

    def __call__(self, scores: Array) -> Array:
        return np.asarray(self.slope * scores + self.offset)


def learned_map(genuine: Array, impostor: Array, *, people: int) -> ScoreMap:
    """The score map of a kind of evidence, from scores of its genuine and impostor comparisons.

    Slope, offset and doubt of least Cllr at equal prior odds: logistic regression with outliers. Without the
    doubt, one genuine score far below all others would flatten the slope for everybody. The doubt is at
    least one in as many pairs of people as were seen: what the most alike of them would look like was seen
    once at most.
    """
    start = AffineCalibration.learned(genuine, impostor)
    least = 1.0 / max(2.0, people * (people - 1) / 2)
    sides = [_thinned(side) for side in (genuine, impostor)]
    unit = float(np.std(np.concatenate(sides))) or 1.0

    def cost(x: Array) -> tuple[float, Array]:
        doubt, value, slopes = float(np.exp(x[2])), 0.0, np.zeros(3)
        for scores, sign in zip(sides, (1.0, -1.0), strict=True):
            z = np.clip(x[0] * scores / unit + x[1], -500.0, 500.0)
            # For both signs of z by e^-|z|, which does not overflow.
            t = np.exp(-np.abs(z))
            bent = np.sign(z) * (np.log1p(doubt * t) - np.log(doubt + t))
            by_z = t / (doubt + t) - doubt * t / (1 + doubt * t)
            by_doubt = np.sign(z) * (t / (1 + doubt * t) - 1 / (doubt + t)) * doubt
            value += float(np.logaddexp(0, -sign * bent).mean())
            outer = -sign / (1 + np.exp(sign * bent)) / len(scores)
            inner = outer * by_z
            slopes += np.array([inner @ scores / unit, inner.sum(), outer @ by_doubt])
        return value, slopes

    best = min(
        (
            minimize(
                cost,
                np.array([slope * unit, min(offset, MAX_OFFSET), np.log(least)]),
                jac=True,
                method="L-BFGS-B",
                bounds=[(0, MAX_SLOPE), (None, MAX_OFFSET), (np.log(least), np.log(MAX_DOUBT))],
            )
            # What is least may lie in more than one place: from the plain regression, and from a steep one.
            for slope, offset in ((start.slope, start.offset), (3.0 / unit, 0.0))
        ),
        key=lambda found: float(found.fun),
    )
    return ScoreMap(float(best.x[0]) / unit, float(best.x[1]), float(np.exp(best.x[2])), people)


def _thinned(scores: Array) -> Array:
    """At most ``MOST_SCORES``, spread over the quantiles, both ends among them."""
    if len(scores) <= MOST_SCORES:
        return scores
    return np.sort(scores)[np.linspace(0, len(scores) - 1, MOST_SCORES).astype(np.int64)]
