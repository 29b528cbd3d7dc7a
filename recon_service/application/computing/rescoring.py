"""A comparison score from what was kept: a template, and what a visit showed. The one place that scores a
visit against a template, whenever it was seen.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from recon_service.application.records.probes import ProbeSeen
from recon_service.comparison.appearance import (
    AppearanceMaps,
    compare_appearance,
    lacking_appearance,
    with_appearance,
)
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.likelihood_ratio import compare
from recon_service.comparison.strengthening_parts import chosen_part
from recon_service.domain.template import ComparisonScore, Template


def scored(
    reference: Template, seen: ProbeSeen, calibration: Calibration, maps: AppearanceMaps
) -> ComparisonScore:
    """Shape and appearance. Raises ModelMismatch."""
    kind = EvidenceKind.depth(seen.camera, seen.captures)
    part = chosen_part(reference, kind, calibration)
    score = compare(
        part.posterior,
        seen.posterior,
        reference_kind=part.kind,
        probe_kind=kind,
        calibration=calibration,
        template_calibration=part.calibration,
    )
    looks = compare_appearance(reference.appearance, seen.appearance, maps)
    return with_appearance(score, looks, lacking=lacking_appearance(reference.appearance, seen.appearance))


def as_of(template: Template, moment: datetime) -> Template:
    """Without the visits that joined it at that moment or later: a visit is not compared with itself."""
    visits = tuple(visit for visit in template.visits if visit.captured_at < moment)
    return template if len(visits) == len(template.visits) else replace(template, visits=visits)
