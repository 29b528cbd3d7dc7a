"""The scores of a row: as released, and learned on other people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from recon_service.comparison.calibration import Calibration as Released
from recon_service.comparison.calibration import PairCalibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue, ModelMismatch
from recon_service.evaluation.comparisons import Comparisons, Observed
from recon_service.evaluation.pair_learning import learned_pair, person_means
from recon_service.evaluation.split import SubjectSplit
from recon_service.evaluation.whitening import Whitening

LLR = "llr"
COSINE = "cosine"
LEARNED_LLR = "learned-llr"
WHITENED_COSINE = "whitened-cosine"


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
    """What is compared. calibration: the released one. one_kind: references and probes are made of the same,
    and share a mean.
    """

    references: Observed
    probes: Observed
    pairs: Comparisons
    calibration: Released
    one_kind: bool


def scores(sides: Sides, *, cross_validate: bool) -> Iterator[Scored]:
    """The main score first: the released log-likelihood ratio, or the one learned on others."""
    if cross_validate:
        yield _learned(sides, LEARNED_LLR)
    yield released_llr(sides)
    yield plain_cosine(sides)
    if cross_validate:
        yield _learned(sides, WHITENED_COSINE)


def released_llr(sides: Sides) -> Scored:
    """What the service would say: the log-likelihood ratio by the released calibration."""
    values = np.full(len(sides.pairs), np.nan)
    kinds = sides.references.kind[sides.pairs.reference], sides.probes.kind[sides.pairs.probe]
    try:
        for one in np.unique(kinds[0]):
            for other in np.unique(kinds[1]):
                rows = np.flatnonzero((kinds[0] == one) & (kinds[1] == other))
                if len(rows):
                    here = Comparisons(sides.pairs.reference[rows], sides.pairs.probe[rows])
                    found = sides.calibration.of(EvidenceKind.parse(str(one)), EvidenceKind.parse(str(other)))
                    values[rows] = calibrated(found.pair, sides.references, sides.probes, here)
    except ModelMismatch as unknown:
        return Scored(LLR, Calibration.RELEASED, None, refused=unknown.detail)
    return Scored(LLR, Calibration.RELEASED, values, is_llr=True)


def calibrated(pair: PairCalibration, first: Observed, second: Observed, pairs: Comparisons) -> Array:
    """(m,) calibrated log-likelihood ratios of the pairs."""
    scores = pair.score.of_pairs(first.mean, second.mean, pairs.reference, pairs.probe)
    return pair.score_map(scores)


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
            learn=lambda a, b: learned_pair(a, b, one_kind=sides.one_kind),
            score=calibrated,
        )
    )
    return Scored(name, Calibration.CROSS_VALIDATED, values, is_llr=name == LEARNED_LLR)


@dataclass(frozen=True, slots=True)
class _WhitenedCosine:
    """Each side centered on its mean, the variation within a person (the gap between the sides included)
    whitened.
    """

    centers: tuple[Array, Array]
    whitening: Whitening

    @classmethod
    def learned(cls, first: Observed, second: Observed, *, one_kind: bool) -> _WhitenedCosine:
        known = [np.mean(list(person_means(side).values()), axis=0) for side in (first, second)]
        centers = (np.mean(known, axis=0),) * 2 if one_kind else (known[0], known[1])
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
