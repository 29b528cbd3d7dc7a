"""Bodies of enrollments under way, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from recon_service.api.schemas import Body, ProblemNote, problem_note
from recon_service.api.schemas_fields import Count, OperationField, SubjectField
from recon_service.api.schemas_selfies import SelfieBody, selfie_body
from recon_service.api.schemas_templates import mesh_path
from recon_service.application.records.operations import Operation, OperationState


class OperationBody(Body):
    """An enrollment under way or ended."""

    operation_id: OperationField
    subject_id: SubjectField
    state: OperationState = Field(
        description="Where it stands. `rejected` is a result: no selfie was good enough, or they do not show "
        "one person. `failed` is a fault of the service."
    )
    stage: str = Field(
        description="What is being done: `queued`, `started`, `decoding`, `assessing`, `fitting`, `storing`, "
        "`done`. News for a person who waits; `state` decides."
    )
    progress: float = Field(ge=0, le=1, description="Share that is done, 0 to 1.")
    attempts: Count = Field(
        description="How often a worker has begun it; after some (`RECON_JOB_ATTEMPTS`, three) it is given "
        "up as `failed`."
    )
    version: int = Field(description="Grows with every change; the id of its events in a stream.")
    backend: str = Field(description="The reconstruction backend that was asked for.")
    selfies: list[SelfieBody] = Field(
        description="What is said about each selfie, in the order of the request; empty until they were "
        "looked at."
    )
    template_id: str | None = Field(description="The template that it made; null unless it has succeeded.")
    problem: ProblemNote | None = Field(
        description="Why it was rejected as a whole or has failed; null: no such reason."
    )
    created_at: datetime = Field(description="When it was put on record.")
    updated_at: datetime = Field(description="When it changed last.")
    ended_at: datetime | None = Field(description="When it ended; null while it is under way.")
    links: dict[str, str] = Field(description="Addresses: `self`, and `mesh` where there is a template.")


class OperationsBody(Body):
    """Some operations."""

    operations: list[OperationBody] = Field(description="Newest first.")


class EnrollmentAccepted(Body):
    """The enrollment is on record and will be done, whatever happens to the service."""

    operation_id: OperationField
    subject_id: SubjectField
    state: Literal["queued"] = Field(default="queued", description="The state at that moment: it waits.")
    created_at: datetime = Field(description="When it was put on record.")
    links: dict[str, str] = Field(description="Addresses: `operation`, to follow it at.")


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
