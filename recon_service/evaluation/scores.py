"""The scores of a row: as released, and learned on other people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from recon_service.comparison.noise import NoiseTable
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.calibration import AffineCalibration
from recon_service.evaluation.comparisons import Comparisons, Corrected, Observed, log_likelihood_ratios
from recon_service.evaluation.split import SubjectSplit
from recon_service.evaluation.whitening import Whitening

LLR = "llr"
COSINE = "cosine"
CENTERED_LLR = "centered-llr"
WHITENED_COSINE = "whitened-cosine"
PER_PERSON = 10
"""Observations of each other person and side that the calibration of the log-likelihood ratio is learned on:
all genuine comparisons between them, and twice as many impostor comparisons, or ``LEAST_IMPOSTORS``.
"""
LEAST_IMPOSTORS = 1500


class Calibration(StrEnum):
    """Where the constants of a score come from."""

    NONE = "none"
    RELEASED = "released"
    CROSS_VALIDATED = "cross-validated"


@dataclass(frozen=True, slots=True)
class Scored:
    """values: (m,) one score per comparison, higher is more alike, or None with the reason why there is
    none. is_llr: whether the values claim to be natural log-likelihood ratios.
    """

    name: str
    calibration: Calibration
    values: Array | None
    is_llr: bool = False
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared. one_kind: references and probes are made of the same, and share a mean."""

    references: Observed
    probes: Observed
    pairs: Comparisons
    noise: NoiseTable
    one_kind: bool


def scores(sides: Sides, *, cross_validate: bool) -> Iterator[Scored]:
    """The main score first: the released log-likelihood ratio, or the one learned on others."""
    if cross_validate:
        yield _learned(sides, CENTERED_LLR)
    yield released_llr(sides)
    yield plain_cosine(sides)
    if cross_validate:
        yield _learned(sides, WHITENED_COSINE)


def released_llr(sides: Sides) -> Scored:
    """What the service would say: the log-likelihood ratio with the released noise table."""
    first, second = (
        Corrected.of(side, sides.noise.of(side.source)) for side in (sides.references, sides.probes)
    )
    values = log_likelihood_ratios(first, second, sides.pairs)
    return Scored(LLR, Calibration.RELEASED, values, is_llr=True)


def plain_cosine(sides: Sides) -> Scored:
    """Cosine of the posterior means."""
    values = cosines(sides.references.mean, sides.probes.mean, sides.pairs)
    return Scored(COSINE, Calibration.NONE, values)


def cosines(first: Array, second: Array, pairs: Comparisons) -> Array:
    """(m,) cosines of the pairs of rows of (n, K) and (l, K)."""
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300) for x in (first, second)]
    return np.asarray(np.einsum("mk,mk->m", unit[0][pairs.reference], unit[1][pairs.probe]))


def _learned(sides: Sides, name: str) -> Scored:
    try:
        split = SubjectSplit.of([*sides.references.person, *sides.probes.person])
    except InvalidValue as few:
        return Scored(name, Calibration.CROSS_VALIDATED, None, refused=few.detail)
    values = (
        split.scored(
            sides.references,
            sides.probes,
            sides.pairs,
            learn=lambda a, b: _WhitenedCosine.learned(a, b, one_kind=sides.one_kind),
            score=lambda learned, a, b, pairs: learned(a, b, pairs),
        )
        if name == WHITENED_COSINE
        else split.scored(
            sides.references,
            sides.probes,
            sides.pairs,
            learn=lambda a, b: _CenteredLlr.learned(a, b, noise=sides.noise, one_kind=sides.one_kind),
            score=lambda learned, a, b, pairs: learned(a, b, pairs),
        )
    )
    return Scored(name, Calibration.CROSS_VALIDATED, values, is_llr=name == CENTERED_LLR)


def _centers(first: Observed, second: Observed, *, one_kind: bool) -> tuple[Array, Array]:
    """Mean over people of the mean of each person's observations, per side or of both together."""
    means = [
        np.stack([side.mean[side.person == name].mean(axis=0) for name in np.unique(side.person)])
        for side in (first, second)
    ]
    if one_kind:
        both = np.concatenate(means).mean(axis=0)
        return both, both
    return means[0].mean(axis=0), means[1].mean(axis=0)


@dataclass(frozen=True, slots=True)
class _WhitenedCosine:
    """Each side centered on its mean, the variation within a person (the gap between the sides included)
    whitened.
    """

    centers: tuple[Array, Array]
    whitening: Whitening

    @classmethod
    def learned(cls, first: Observed, second: Observed, *, one_kind: bool) -> _WhitenedCosine:
        centers = _centers(first, second, one_kind=one_kind)
        people = [
            np.concatenate(
                [
                    side.mean[side.person == name] - center
                    for side, center in zip((first, second), centers, strict=True)
                ]
            )
            for name in np.unique(first.person)
        ]
        return cls(centers, Whitening.learned(people))

    def __call__(self, first: Observed, second: Observed, pairs: Comparisons) -> Array:
        moved = [
            self.whitening(side.mean - center)
            for side, center in zip((first, second), self.centers, strict=True)
        ]
        return cosines(moved[0], moved[1], pairs)


@dataclass(frozen=True, slots=True)
class _CenteredLlr:
    """The log-likelihood ratio with the released inflation and spread, each side centered on its mean, and
    an affine calibration of the result.
    """

    noise: NoiseTable
    centers: tuple[Array, Array]
    calibration: AffineCalibration

    @classmethod
    def learned(cls, first: Observed, second: Observed, *, noise: NoiseTable, one_kind: bool) -> _CenteredLlr:
        centers = _centers(first, second, one_kind=one_kind)
        some = [_some_of_each(side) for side in (first, second)]
        raw = cls(noise, centers, AffineCalibration(1.0, 0.0))
        a, b = (x.ravel() for x in np.indices((len(some[0]), len(some[1]))))
        # An observation compared with itself says nothing of two visits.
        same = (some[0].mean[a] == some[1].mean[b]).all(axis=1)
        a, b = a[~same], b[~same]
        genuine = some[0].person[a] == some[1].person[b]
        impostor = np.flatnonzero(~genuine)
        wanted = min(len(impostor), max(2 * int(genuine.sum()), LEAST_IMPOSTORS))
        chosen = genuine.copy()
        chosen[np.random.default_rng(0).choice(impostor, wanted, replace=False)] = True
        a, b, genuine = a[chosen], b[chosen], genuine[chosen]
        values = raw(some[0], some[1], Comparisons(a, b))
        return cls(noise, centers, AffineCalibration.learned(values[genuine], values[~genuine]))

    def __call__(self, first: Observed, second: Observed, pairs: Comparisons) -> Array:
        corrected = [
            Corrected.of(side, self.noise.of(side.source)).centered(center)
            for side, center in zip((first, second), self.centers, strict=True)
        ]
        return self.calibration(log_likelihood_ratios(corrected[0], corrected[1], pairs))


def _some_of_each(side: Observed) -> Observed:
    """Up to ``PER_PERSON`` observations of each person, spread over all of theirs."""
    rows = [np.flatnonzero(side.person == name) for name in np.unique(side.person)]
    return side.take(
        np.concatenate(
            [r[np.linspace(0, len(r) - 1, min(PER_PERSON, len(r))).astype(np.int64)] for r in rows]
        )
    )
