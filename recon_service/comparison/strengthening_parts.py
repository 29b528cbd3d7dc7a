"""The parts of a template that a probe can be compared with: what the enrollment saw, and what the visits of
one depth camera saw.

They are evidence of different kinds, each with errors and offsets of its own, and are never mixed into one
posterior. A probe is compared with one of them, which is chosen by what the calibration knows of the kinds,
before any score is looked at: the greater of two scores would give an impostor two chances. Measured: depth
against depth alone tells people apart as well as both parts in one posterior or the sum of both ratios
(docs/adr/0120).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.errors import InvalidValue, ModelMismatch
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Template

MOST_FRAMES: Final = 3
"""A visit counts as no more: expressions and poses of one moment do not average out with the frames, and
calibrations were learned on no more.
"""
FIRST: Final = 2 / 3
"""Weight of the first visit among several."""
LEAST_CONFIRMED: Final = 2
"""Visits that nothing but card and PIN vouched for count once so many of them show one person."""


class SeenInDepth(Protocol):
    """The evidence of one visit. source: ``depth/CAMERA``. captures: frames that it rests on."""

    @property
    def posterior(self) -> IdentityPosterior: ...
    @property
    def source(self) -> str: ...
    @property
    def captures(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ReferencePart:
    """One side of a comparison. calibration: that it was made under, None where that was looked at."""

    kind: EvidenceKind
    posterior: IdentityPosterior
    calibration: str | None = None


def enrollment_part(template: Template) -> ReferencePart:
    """What the enrollment saw."""
    kind = EvidenceKind.of(template.source, max(1, len(template.provenance)))
    return ReferencePart(kind, template.posterior, template.calibration)


def depth_part(visits: Sequence[SeenInDepth]) -> ReferencePart:
    """What visits before one camera saw, oldest first: the weighted mean of their information, in which the
    first has ``FIRST``. Raises InvalidValue.

    The mean, and not the sum: a posterior mean is drawn toward the prior by what its information lacks, and a
    sum of visits less than the single visits that the calibration was learned on, which tells one person
    from himself. The first is what all later ones were held against: were all equal, visits that lie
    between two people, each near enough to the first, would bring the whole nearly to where they lie.
    """
    if not visits or len({visit.source for visit in visits}) != 1:
        raise InvalidValue("a part of a template is made of the visits before one camera")
    others = len(visits) - 1
    weights = [FIRST, *[(1.0 - FIRST) / others] * others] if others else [1.0]
    frames = [min(visit.captures, MOST_FRAMES) for visit in visits]
    captures = int(np.dot(weights, frames) + 1e-9)
    kind = EvidenceKind.of(visits[0].source, captures)
    if not others and visits[0].captures <= MOST_FRAMES:
        return ReferencePart(kind, visits[0].posterior)
    space = visits[0].posterior.space
    evidence = [visit.posterior.evidence() for visit in visits]
    weights = [w * few / visit.captures for w, few, visit in zip(weights, frames, visits, strict=True)]
    information = np.sum([w * matrix for w, (matrix, _) in zip(weights, evidence, strict=True)], axis=0)
    vector = np.sum([w * one for w, (_, one) in zip(weights, evidence, strict=True)], axis=0)
    return ReferencePart(kind, IdentityPosterior.from_evidence(space, information, vector))


def usable_visits(template: Template, source: str, calibration: Calibration) -> tuple[DepthVisit, ...]:
    """The visits before a camera that may be compared under this calibration, oldest first."""
    return tuple(
        visit for visit in template.visits if visit.source == source and _accepted(visit, calibration)
    )


def counts(visits: Sequence[DepthVisit]) -> bool:
    """Whether decisions may rest on them: one that its score vouched for, or several that agree."""
    return any(not visit.confirmed for visit in visits) or len(visits) >= LEAST_CONFIRMED


def chosen_part(template: Template, probe_kind: EvidenceKind, calibration: Calibration) -> ReferencePart:
    """The part that a probe of this kind is compared with: that of the pair of kinds with the least Cllr on
    people that it was not learned on, to a hundredth of a bit, visits before the enrollment; where no pair
    was measured, the visits before the probe's own camera, else the enrollment.
    """
    return best_part(parts_of(template, calibration), probe_kind, calibration)


def parts_of(template: Template, calibration: Calibration) -> tuple[ReferencePart, ...]:
    """Every part that a probe may be compared with under this calibration, the enrollment last; alone where
    nothing may be, so that a comparison with it says why.
    """
    parts = [
        depth_part(visits)
        for source in sorted({visit.source for visit in template.visits})
        if counts(visits := usable_visits(template, source, calibration))
    ]
    enrollment = enrollment_part(template)
    if parts and not _accepted(enrollment, calibration):
        return tuple(parts)
    return (*parts, enrollment)


def require_comparable(template: Template, calibration: Calibration) -> None:
    """Raises ModelMismatch where no part of the template may be compared under this calibration."""
    # The others are there only where they may be.
    last = parts_of(template, calibration)[-1]
    calibration.require(last.posterior.space, len(last.posterior.mean), last.calibration)


def best_part(
    parts: Sequence[ReferencePart], probe_kind: EvidenceKind, calibration: Calibration
) -> ReferencePart:
    """See ``chosen_part``."""
    # The first of equals is taken, the enrollment last: a comparison with nothing else raises what it lacks.
    return min(parts, key=lambda part: _rank(part.kind, probe_kind, calibration))


def _rank(kind: EvidenceKind, probe: EvidenceKind, calibration: Calibration) -> tuple[int, float]:
    """Less is better."""
    try:
        found = calibration.of(kind, probe)
    except ModelMismatch:
        return 3, 0.0
    measured = found.pair.measured
    if measured is not None and not found.general:
        return 0, round(measured.cllr, 2)
    # What was not measured cannot be ranked by figures: the same kind of evidence first.
    return (1 if kind.source == probe.source else 2), 0.0


def _accepted(one: DepthVisit | ReferencePart, calibration: Calibration) -> bool:
    try:
        calibration.require(one.posterior.space, len(one.posterior.mean), one.calibration)
    except ModelMismatch:
        return False
    return True
