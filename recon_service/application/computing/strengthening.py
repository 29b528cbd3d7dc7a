"""What a verification offers to its template: the depth evidence of the visit, or why it must not be kept.

Looked at where the visit is: nothing of a visit that must not be kept leaves that process. Whether the
template may change at all (how often, by whom, while nobody else does) is decided where it is stored
(``strengthening_keeping.py``).
"""

from __future__ import annotations

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.streaming import Probe
from recon_service.application.records.strengthening import Proposal
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.policy import Policy
from recon_service.comparison.score_map import APPEARANCE
from recon_service.comparison.strengthening import NOT_A_MATCH, Offered, entropy_gain, objections
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.template import Decision, Template, VerificationResult

NOT_COMPARED = "not-compared"


def proposed(
    probe: Probe,
    result: VerificationResult,
    reference: Template,
    pipeline: FacePipeline,
    policy: Policy,
    *,
    confirmed: bool = False,
) -> Proposal | None:
    """None for a policy under which templates stay as they are, and for what is no match.

    confirmed: by card and PIN. What is not clear may strengthen then too; and whatever is no match is told
    with its reason, since a card that comes with another face is worth knowing of.
    """
    asked, score, presentation = policy.strengthening, result.score, probe.presentation
    if asked is None or score is None or probe.posterior is None:
        return None
    welcome = {Decision.MATCH, *([Decision.INCONCLUSIVE] if confirmed else [])}
    if result.decision not in welcome and not confirmed:
        return None
    source = EvidenceKind.depth(probe.source, len(probe.fits)).source
    offered = Offered(
        posterior=probe.posterior,
        source=source,
        captures=len(probe.fits),
        llr=score.llr,
        appearance=dict(score.parts).get(APPEARANCE, 0.0),
        bona_fide=presentation.bona_fide,
        confirmed=confirmed,
    )
    calibration = pipeline.calibration
    try:
        reasons = objections(offered, reference, calibration, asked)
    except ModelMismatch:
        reasons = (NOT_COMPARED,)
    if result.decision not in welcome:
        reasons = (NOT_A_MATCH, *reasons)
    allowed = not reasons
    return Proposal(
        source=source,
        captures=len(probe.fits),
        calibration=calibration.identity,
        policy=policy.name,
        score=score.llr,
        confirmed=confirmed,
        most_visits=asked.most_visits,
        reasons=reasons,
        gain=entropy_gain(offered, reference, calibration) if allowed else 0.0,
        posterior=probe.posterior if allowed else None,
    )
