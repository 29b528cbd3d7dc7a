"""Comparing two versions of templates under the calibration in force: their distance, and the scores that
kept visits give with each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from recon_service.application.version_records import (
    LEADING,
    Change,
    EvaluationFigure,
    VersionChange,
    VersionsCompared,
)
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import DEPTH, EvidenceKind
from recon_service.comparison.likelihood_ratio import compare
from recon_service.comparison.strengthening_parts import enrollment_part
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.template import DepthVisit, Template

Pair = tuple[Template, Template]
"""The former template and the candidate."""


def versions_compared(pairs: Sequence[Pair], calibration: Calibration) -> VersionsCompared:
    """Every pair; what cannot be compared says why. Visits are those that strengthening kept in the former
    template: each is scored against the part of both that the enrollment made.
    """
    changes = tuple(_changed(pair, calibration) for pair in pairs)
    strangers = []
    for n, (former, _) in enumerate(pairs):
        others = pairs[(n + 1) % len(pairs)]
        if former.visits and others[0].subject_id != former.subject_id:
            change = _scored(others, former.visits[-1], calibration)
            strangers += [change] if change is not None else []
    return VersionsCompared(changes, tuple(strangers), _evaluation(pairs, calibration))


def _changed(pair: Pair, calibration: Calibration) -> VersionChange:
    former, candidate = (template.posterior for template in pair)
    try:
        former.require_same_space(candidate)
    except ModelMismatch as mismatch:
        return VersionChange(problem=mismatch.code)
    difference = (candidate.mean - former.mean)[:LEADING]
    width = np.sqrt(np.trace(candidate.covariance) / np.trace(former.covariance))
    scores = [_scored(pair, visit, calibration) for visit in pair[0].visits]
    return VersionChange(
        shift=float(np.sqrt(np.mean(difference**2))),
        width=float(width),
        visits=tuple(score for score in scores if score is not None),
    )


def _scored(pair: Pair, visit: DepthVisit, calibration: Calibration) -> Change | None:
    """None where the calibration does not know one of the three."""
    found = []
    for template in pair:
        part = enrollment_part(template)
        try:
            score = compare(
                part.posterior,
                visit.posterior,
                reference_kind=part.kind,
                probe_kind=EvidenceKind.of(visit.source, visit.captures),
                calibration=calibration,
                template_calibration=part.calibration,
            )
        except ModelMismatch:
            return None
        found.append(score.llr)
    return Change(*found)


def _evaluation(pairs: Sequence[Pair], calibration: Calibration) -> tuple[EvaluationFigure, ...]:
    """Of every kind of template in the sample, against every depth camera that was measured with it."""
    figures = []
    for side, place in (("former", 0), ("candidate", 1)):
        kinds = Counter(enrollment_part(pair[place]).kind for pair in pairs)
        for kind, count in sorted(kinds.items()):
            for first, second in sorted(calibration.pairs):
                measured = calibration.pairs[first, second].measured
                probe = second if first.source == kind.source else first
                if measured is None or kind.source not in (first.source, second.source):
                    continue
                if probe.family != DEPTH or kind.captures not in (first.captures, second.captures):
                    continue
                figures.append(
                    EvaluationFigure(
                        side,
                        str(kind),
                        str(probe),
                        count,
                        measured.dataset,
                        measured.people,
                        measured.eer,
                        measured.cllr,
                    )
                )
    return tuple(figures)
