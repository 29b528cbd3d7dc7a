"""Comparing two versions of templates under the calibration in force: their distance, and the scores that
kept visits and recent probes give with each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from recon_service.application.computing.rescoring import as_of, scored
from recon_service.application.records.probes import RecentProbe
from recon_service.application.records.versions import (
    LEADING,
    Change,
    EvaluationFigure,
    ProbeChange,
    VersionChange,
    VersionsCompared,
)
from recon_service.comparison.appearance import AppearanceMaps
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import DEPTH, EvidenceKind
from recon_service.comparison.likelihood_ratio import compare
from recon_service.comparison.policy import Policy, decide
from recon_service.comparison.strengthening_parts import enrollment_part
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.template import DepthVisit, Template

Pair = tuple[Template, Template]
"""The former template and the candidate."""


def versions_compared(
    pairs: Sequence[Pair],
    calibration: Calibration,
    probes: Sequence[Sequence[RecentProbe]] = (),
    *,
    policy: Policy | None = None,
    maps: AppearanceMaps | None = None,
) -> VersionsCompared:
    """Every pair; what cannot be compared says why. Visits are those that strengthening kept in the former
    template: each is scored against the part of both that the enrollment made. probes: of each pair's
    subject, compared as a verification would do it, and decided by ``policy``.
    """
    kept = [tuple(probes[n]) if n < len(probes) else () for n in range(len(pairs))]
    again = partial(_compared_again, calibration=calibration, policy=policy, maps=maps)
    changes = tuple(_changed(pair, own, calibration, again) for pair, own in zip(pairs, kept, strict=True))
    strangers = []
    for n, (former, _) in enumerate(pairs):
        others = pairs[(n + 1) % len(pairs)]
        if others[0].subject_id == former.subject_id:
            continue
        found = None
        if former.visits:
            found = _scored(others, former.visits[-1], calibration)
        elif kept[n] and (probe := again(others, kept[n][0])) is not None:
            found = probe.score
        strangers += [found] if found is not None else []
    return VersionsCompared(
        changes, tuple(strangers), _evaluation(pairs, calibration), policy.name if policy else ""
    )


def _changed(
    pair: Pair,
    probes: Sequence[RecentProbe],
    calibration: Calibration,
    again: Callable[[Pair, RecentProbe], ProbeChange | None],
) -> VersionChange:
    former, candidate = (template.posterior for template in pair)
    try:
        former.require_same_space(candidate)
    except ModelMismatch as mismatch:
        return VersionChange(problem=mismatch.code)
    difference = (candidate.mean - former.mean)[:LEADING]
    width = np.sqrt(np.trace(candidate.covariance) / np.trace(former.covariance))
    scores = [_scored(pair, visit, calibration) for visit in pair[0].visits]
    seen = [again(pair, probe) for probe in probes]
    return VersionChange(
        shift=float(np.sqrt(np.mean(difference**2))),
        width=float(width),
        visits=tuple(score for score in scores if score is not None),
        probes=tuple(probe for probe in seen if probe is not None),
    )


def _compared_again(
    pair: Pair,
    probe: RecentProbe,
    *,
    calibration: Calibration,
    policy: Policy | None,
    maps: AppearanceMaps | None,
) -> ProbeChange | None:
    """None where no policy decides, or the calibration does not know one of the three."""
    if policy is None:
        return None
    found, decisions = [], []
    for template in pair:
        reference = as_of(template, probe.seen_at)
        try:
            score = scored(reference, probe.seen, calibration, maps or AppearanceMaps.none())
        except ModelMismatch:
            return None
        found.append(policy.considered(score).llr)
        decisions.append(decide(score, policy=policy, frames=probe.seen.captures).decision)
    return ProbeChange(Change(*found), decisions[0], decisions[1], probe.decision)


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
