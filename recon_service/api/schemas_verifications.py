"""Bodies of verifications, as they are on the wire."""

from __future__ import annotations

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_fields import CalibrationField, MillisecondsField, PolicyField
from recon_service.application.records.visits import VerificationOutcome
from recon_service.domain.presentation import PresentationResult
from recon_service.domain.template import Decision


class ReasonBody(Body):
    """Why a decision is what it is."""

    code: str = Field(description="Which reason, for programs.")
    hint: str = Field(description="What it means for the person, in English.")


class PresentationBody(Body):
    """Whether a living face was before the camera. What was measured is not told: it would teach
    attackers.
    """

    bona_fide: float | None = Field(
        ge=0, le=1, description="Margin from 0 (artefact) to 1 (face), 0.5 at the limit; null: not measured."
    )


class VerificationBody(Body):
    """The decision about a kiosk's visit."""

    decision: Decision = Field(
        description="`MATCH`: the person is the subject. `INCONCLUSIVE`: try again, with more frames. "
        "`PRESENTATION_ATTACK`: not a living face, nothing was compared."
    )
    score: float | None = Field(
        description="Comparison score: natural log-likelihood ratio of one person against two. Positive "
        "speaks for one; null: nothing was compared."
    )
    evidence: dict[str, float] = Field(
        description="What each kind of evidence (`shape`, `appearance`) adds to the score, which is their "
        "sum; empty: nothing was compared."
    )
    presentation: PresentationBody = Field(description="What the check for artefacts found.")
    frames_used: int = Field(
        ge=0, description="Depth frames that the decision rests on: usable ones, until it was clear."
    )
    reasons: list[ReasonBody] = Field(description="What spoke against a match, or for care; may be empty.")
    reference_source: str | None = Field(
        description="What the template was made from, `METHOD/LIGHT`; null: nothing was compared."
    )
    probe_source: str | None = Field(
        description="The depth camera, by the name that the request gave; null: nothing was compared."
    )
    calibration: CalibrationField
    policy: PolicyField
    strengthened: bool = Field(
        False, description="Whether the template now rests on this visit too, in a new version."
    )
    milliseconds: MillisecondsField


def _presentation_body(found: PresentationResult | None) -> PresentationBody:
    share = found.bona_fide if found is not None else None
    return PresentationBody(bona_fide=round(share, 2) if share is not None else None)


def verification_body(outcome: VerificationOutcome) -> VerificationBody:
    """On the wire."""
    result = outcome.result
    score = result.score
    return VerificationBody(
        decision=result.decision,
        score=round(score.llr, 4) if score else None,
        evidence={kind: round(llr, 4) for kind, llr in score.parts} if score else {},
        presentation=_presentation_body(result.presentation),
        frames_used=result.frames_used,
        reasons=[ReasonBody(code=code, hint=hint) for code, hint in result.reasons],
        reference_source=score.reference_source if score else None,
        probe_source=score.probe_source if score else None,
        calibration=outcome.calibration,
        policy=result.policy,
        strengthened=outcome.strengthened is not None,
        milliseconds=outcome.milliseconds,
    )
