"""Bodies of enrollments under way, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from recon_service.api.schemas import Body, ProblemNote, problem_note
from recon_service.api.schemas_selfies import SelfieBody, selfie_body
from recon_service.api.schemas_templates import mesh_path
from recon_service.application.records.operations import Operation, OperationState


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


def operation_path(operation_id: str) -> str:
    """Address of an operation."""
    return f"/v1/operations/{operation_id}"
