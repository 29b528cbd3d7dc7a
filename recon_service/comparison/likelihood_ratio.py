"""The comparison of a reference with a probe: a calibrated log-likelihood ratio of one person against two."""

from __future__ import annotations

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import DEPTH, EvidenceKind
from recon_service.comparison.score_map import SHAPE
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import ComparisonScore


def compare(
    reference: IdentityPosterior,
    probe: IdentityPosterior,
    *,
    reference_kind: EvidenceKind,
    probe_kind: EvidenceKind,
    calibration: Calibration,
    template_calibration: str | None = None,
) -> ComparisonScore:
    """The log-likelihood ratio (natural logarithm), as the calibration knows these kinds of evidence.

    template_calibration: identity of the calibration that the reference was made under, if it is known.
    Raises ModelMismatch for posteriors of different spaces, or where the calibration does not fit.
    """
    reference.require_same_space(probe)
    calibration.require(reference.space, len(reference.mean), template_calibration)
    ratios, found = calibration.llr(reference_kind, probe_kind, reference.mean[None], probe.mean[None])
    return ComparisonScore(
        llr=float(ratios[0]),
        reference_source=reference_kind.source,
        probe_source=probe_kind.origin if probe_kind.family == DEPTH else probe_kind.source,
        calibration=calibration.identity,
        general=found.general,
        parts=((SHAPE, float(ratios[0])),),
    )
