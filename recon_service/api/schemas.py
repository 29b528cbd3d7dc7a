"""The bodies of answers, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from recon_service.application.records.operations import Operation, OperationState, Problem, SelfieReport
from recon_service.application.records.subjects import DeletionReceipt
from recon_service.application.records.templates import SealedTemplate, TemplateOrigin, TemplateState
from recon_service.application.records.visits import VerificationOutcome
from recon_service.domain.presentation import PresentationResult
from recon_service.domain.template import Decision


class Body(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


class ProblemBody(Body):
    """RFC 9457, with what to do next."""

    type: str = Field(
        description="Address of the page that explains the problem.", examples=["/problems/not-found"]
    )
    title: str
    status: int
    detail: str
    next_step: str = Field(description="What the caller can do about it; may be empty.")
    instance: str = Field(description="Names this one request, in the logs too.")


class ProblemNote(Body):
    """Why one part of a request could not be used."""

    code: str
    detail: str
    next_step: str


class MeasureBody(Body):
    """One quality measure of one selfie."""

    name: str = Field(examples=["sharpness"])
    raw: float
    unit: str
    score: float = Field(description="0 (useless) to 100 (ideal).")
    verdict: Literal["good", "warning", "rejected"]
    hint: str = Field(description="What the person can do; empty when good.")
    component: str = Field(default="", description="Quality component of ISO/IEC 29794-5, if it has one.")
    code: str = Field(default="", description="Reason, for programs; empty when good.")
    advice: bool = Field(default=False, description="Whether it only warns, however low.")


class SelfieBody(Body):
    """What is said about one selfie, in the order of the request."""

    accepted: bool
    used: bool = Field(
        default=True, description="Whether it counts: of more pictures than are needed the best do."
    )
    score: float | None = Field(
        description="The weakest score of those that may reject; null when the file could not be read."
    )
    unified_score: float | None = Field(
        default=None, description="All measures but the angles in one number, 0 to 100."
    )
    hints: list[str] = Field(description="What the person can do, most important first.")
    measures: list[MeasureBody]
    problem: ProblemNote | None = None


class OperationBody(Body):
    """An enrollment under way or ended."""

    operation_id: str
    subject_id: str
    state: OperationState
    stage: str
    progress: float = Field(ge=0, le=1)
    attempts: int
    version: int = Field(description="Grows with every change.")
    backend: str = Field(description="The reconstruction backend that was asked for.")
    selfies: list[SelfieBody]
    template_id: str | None
    problem: ProblemNote | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    links: dict[str, str]


class OperationsBody(Body):
    """Some operations."""

    operations: list[OperationBody]


class EnrollmentAccepted(Body):
    """The enrollment is on record and will be done, whatever happens to the service."""

    operation_id: str
    subject_id: str
    state: Literal["queued"] = "queued"
    created_at: datetime
    links: dict[str, str]


class TemplateBody(Body):
    """One version of a subject's template, without what it says about the face. `active` is the one that
    verifications use; `candidate` was never used; `retired` was, and can be activated again for a while.
    """

    template_id: str
    operation_id: str | None
    state: TemplateState
    origin: TemplateOrigin
    parent_id: str | None
    model: str
    source: str
    calibration: str
    quality: float
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None
    links: dict[str, str]


class TemplatesBody(Body):
    """The templates of a subject, newest first."""

    subject_id: str
    templates: list[TemplateBody]


class ReceiptBody(Body):
    """Proof that a subject was deleted."""

    receipt_id: str
    subject_id: str
    subject_digest: str = Field(description="Keyed hash: the stored receipt names nobody.")
    deleted_at: datetime
    templates: int
    operations: int
    objects: int
    keys: int
    authentication: str


class ReasonBody(Body):
    """Why a decision is what it is."""

    code: str
    hint: str


class PresentationBody(Body):
    """Whether a living face was before the camera. What was measured is not told: it would teach
    attackers.
    """

    bona_fide: float | None = Field(
        ge=0,
        le=1,
        description="Margin from 0 (artefact) to 1 (face), 0.5 at the limit; null: not measured.",
    )


class VerificationBody(Body):
    """The decision about a kiosk's visit."""

    decision: Decision
    score: float | None = Field(description="Natural log-likelihood ratio: one person against two.")
    evidence: dict[str, float] = Field(
        description="What each kind of evidence (shape, appearance) adds to the score."
    )
    presentation: PresentationBody
    frames_used: int = Field(
        ge=0,
        description="Depth frames that the decision rests on: usable ones, until it was clear.",
    )
    reasons: list[ReasonBody]
    reference_source: str | None
    probe_source: str | None
    calibration: str
    policy: str
    strengthened: bool = Field(
        False, description="Whether the template now rests on this visit too, in a new version."
    )
    milliseconds: dict[str, float]


class QualityBody(Body):
    """What the gate of the enrollment would say."""

    accepted: bool = Field(description="Whether an enrollment with these selfies would succeed.")
    selfies: list[SelfieBody]


class LiveBody(Body):
    """The process answers."""

    status: Literal["alive"] = "alive"
    version: str


class ReadyBody(Body):
    """Whether every part works; ``ok`` or the problem's code by part."""

    status: Literal["ready", "not-ready"]
    parts: dict[str, str]


def selfie_body(report: SelfieReport) -> SelfieBody:
    """On the wire."""
    quality = report.quality
    measures = quality.measures if quality else ()
    hints = list(quality.hints) if quality else []
    if report.problem and report.problem.next_step:
        hints.insert(0, report.problem.next_step)
    return SelfieBody(
        accepted=report.accepted,
        used=report.used,
        score=round(quality.score, 1) if quality else None,
        unified_score=round(quality.unified, 1) if quality else None,
        hints=list(dict.fromkeys(hints)),
        measures=[
            MeasureBody(
                name=m.name,
                raw=round(m.raw, 4),
                unit=m.unit,
                score=round(m.score, 1),
                verdict=m.verdict.value,
                hint=m.hint,
                component=m.component,
                code=m.code,
                advice=m.advice,
            )
            for m in measures
        ],
        problem=problem_note(report.problem),
    )


def problem_note(problem: Problem | None) -> ProblemNote | None:
    """On the wire."""
    return (
        ProblemNote(code=problem.code, detail=problem.detail, next_step=problem.next_step)
        if problem
        else None
    )


def operation_body(operation: Operation) -> OperationBody:
    """On the wire."""
    links = {"self": operation_path(operation.operation_id)}
    if operation.template_id:
        links["mesh"] = mesh_path(operation.subject_id, operation.template_id)
    return OperationBody(
        operation_id=operation.operation_id,
        subject_id=operation.subject_id,
        state=operation.state,
        stage=operation.stage,
        progress=round(operation.progress, 3),
        attempts=operation.attempts,
        version=operation.version,
        backend=operation.backend,
        selfies=[selfie_body(s) for s in operation.selfies],
        template_id=operation.template_id,
        problem=problem_note(operation.problem),
        created_at=operation.created_at,
        updated_at=operation.updated_at,
        ended_at=operation.ended_at,
        links=links,
    )


def accepted_body(operation: Operation) -> EnrollmentAccepted:
    """The same bytes whenever it is asked for, however far the operation is by then."""
    return EnrollmentAccepted(
        operation_id=operation.operation_id,
        subject_id=operation.subject_id,
        created_at=operation.created_at,
        links={"operation": operation_path(operation.operation_id)},
    )


def template_body(template: SealedTemplate) -> TemplateBody:
    """On the wire."""
    return TemplateBody(
        template_id=template.template_id,
        operation_id=template.operation_id,
        state=template.state,
        origin=template.origin,
        parent_id=template.parent_id,
        model=template.model,
        source=template.source,
        calibration=template.calibration,
        quality=round(template.quality, 1),
        created_at=template.created_at,
        activated_at=template.activated_at,
        retired_at=template.retired_at,
        links={"mesh": mesh_path(template.subject_id, template.template_id)},
    )


def receipt_body(receipt: DeletionReceipt, subject_id: str) -> ReceiptBody:
    """On the wire."""
    return ReceiptBody(
        receipt_id=receipt.receipt_id,
        subject_id=subject_id,
        subject_digest=receipt.subject_digest,
        deleted_at=receipt.deleted_at,
        templates=receipt.templates,
        operations=receipt.operations,
        objects=receipt.objects,
        keys=receipt.keys,
        authentication=receipt.authentication,
    )


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


def operation_path(operation_id: str) -> str:
    """Address of an operation."""
    return f"/v1/operations/{operation_id}"


def mesh_path(subject_id: str, template_id: str) -> str:
    """Address of a template's mesh."""
    return f"/v1/subjects/{subject_id}/templates/{template_id}/mesh.glb"


def example(body: dict[str, Any]) -> dict[str, Any]:
    """The content of an OpenAPI response with one example."""
    return {"content": {"application/json": {"example": body}}}


def examples(**bodies: dict[str, Any]) -> dict[str, Any]:
    """The content of an OpenAPI response with several examples, by name."""
    return {"content": {"application/json": {"examples": {k: {"value": v} for k, v in bodies.items()}}}}
