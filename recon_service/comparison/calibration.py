"""What is known of the errors of every kind of evidence: one value, learned on other people by `recon
calibrate`, kept in one file (``calibration_file.py``) and named by templates and decisions.

It holds statistics of populations alone: means, covariances, rates. Nothing of it belongs to one person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recon_service.comparison.appearance import AppearanceMaps
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.measured import Measured
from recon_service.comparison.pair_score import PairScore
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.appearance import Light
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue, ModelMismatch

PairKey = tuple[EvidenceKind, EvidenceKind]


@dataclass(frozen=True, slots=True)
class FusedMeasured:
    """How shape and appearance together did. kinds: of the shapes. embedder, version, lights: of the
    appearances.
    """

    kinds: PairKey
    embedder: str
    version: str
    lights: frozenset[Light]
    measured: Measured

    def __str__(self) -> str:
        lights = " and ".join(sorted(light.value for light in self.lights))
        return f"{self.kinds[0]} against {self.kinds[1]} with {self.embedder} ({lights})"


@dataclass(frozen=True, slots=True)
class PairCalibration:
    """The score of a pair of kinds, its map to a log-likelihood ratio, and how it was measured."""

    score: PairScore
    score_map: ScoreMap
    measured: Measured | None = None

    def swapped(self) -> PairCalibration:
        """With its sides exchanged."""
        return replace(self, score=self.score.swapped())


@dataclass(frozen=True, slots=True)
class Found:
    """What a calibration has for a pair. general: not for these origins, but the careful one for any."""

    key: PairKey
    pair: PairCalibration
    general: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """All pairs of kinds of one coefficient space.

    name: of the release. digest: SHA-256 of the file, empty before it is written. accepts: names of the
    calibrations whose templates may be compared under this one (posteriors of another fit have other means
    and errors). pairs: by kinds, each unordered pair once. score_maps: of other evidence than shape, by name.
    appearance: maps of the appearance, learned on the same people. fused: how both did together.
    provenance: what it was learned from, for people.
    """

    name: str
    space: str
    pairs: Mapping[PairKey, PairCalibration]
    accepts: tuple[str, ...] = ()
    score_maps: Mapping[str, ScoreMap] = field(default_factory=dict)
    appearance: AppearanceMaps = field(default_factory=AppearanceMaps.none)
    fused: tuple[FusedMeasured, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        modes = {pair.score.modes for pair in self.pairs.values()}
        if not self.name or "@" in self.name or len(modes) != 1:
            raise InvalidValue("a calibration needs a name without @, and pairs of one coefficient space")
        if any(key[::-1] in self.pairs and key[0] != key[1] for key in self.pairs):
            raise InvalidValue("a calibration has an unordered pair of kinds twice")

    @property
    def identity(self) -> str:
        """Name and digest, as templates and decisions carry it."""
        return f"{self.name}@{self.digest[:12]}" if self.digest else self.name

    @property
    def modes(self) -> int:
        """K."""
        return next(iter(self.pairs.values())).score.modes

    def require(self, space: str, modes: int, template_calibration: str | None = None) -> None:
        """Raises ModelMismatch for coefficients of another space, or for a template that was made under a
        calibration which this one does not accept.
        """
        if space != self.space or modes != self.modes:
            raise ModelMismatch(
                f"the calibration {self.identity} speaks of {self.space} ({self.modes}), not of {space} "
                f"({modes})",
                next_step="Learn one for this model: recon calibrate.",
            )
        made = (template_calibration or self.name).partition("@")[0]
        if made != self.name and made not in self.accepts:
            raise ModelMismatch(
                f"the template was made under {template_calibration}, which {self.identity} does not accept",
                next_step="Derive the template anew (recon batch submit), or enroll the subject again.",
            )

    def of(self, first: EvidenceKind, second: EvidenceKind) -> Found:
        """The pair for these kinds: of their origins where both are known, else the general one.

        Of several numbers of captures the largest that is not above the actual one: more captures than were
        learned from are worth no more. Raises ModelMismatch where there is not even a general pair.
        """
        careful = (first.general, second.general)
        for kinds in ((first, second), careful, (careful[0].least, careful[1].least)):
            key = self._nearest(*kinds)
            if key is not None:
                pair = self.pairs[key] if key in self.pairs else self.pairs[key[::-1]].swapped()
                return Found(key, pair, general=kinds != (first, second))
        raise ModelMismatch(
            f"the calibration {self.identity} knows nothing of {first.family} against {second.family}",
            next_step="Learn it from recordings: recon calibrate.",
        )

    def llr(self, first: EvidenceKind, second: EvidenceKind, a: Array, b: Array) -> tuple[Array, Found]:
        """(n,) calibrated natural log-likelihood ratios of posterior means (n, K) and (n, K)."""
        found = self.of(first, second)
        return np.asarray(found.pair.score_map(found.pair.score(a, b))), found

    def _nearest(self, first: EvidenceKind, second: EvidenceKind) -> PairKey | None:
        wanted = first.captures, second.captures
        candidates: list[PairKey] = [
            key
            for pair in self.pairs
            for key in {pair, pair[::-1]}
            if [k.source for k in key] == [first.source, second.source]
        ]
        return min(candidates, key=lambda key: _distance(key, wanted), default=None)


def _distance(key: PairKey, wanted: Sequence[int]) -> tuple[int, int, int]:
    """More captures than there are is worst; then as few less as can be."""
    over = [max(0, kind.captures - count) for kind, count in zip(key, wanted, strict=True)]
    under = [max(0, count - kind.captures) for kind, count in zip(key, wanted, strict=True)]
    return sum(over), sum(under), under[0]
