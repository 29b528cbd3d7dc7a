"""What all bodies share: their base, problems, and how an example gets into the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recon_service.application.records.operations import Problem


class Body(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


class Asked(BaseModel):
    """Base of what callers send: a field that is not known here is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProblemBody(Body):
    """RFC 9457, with what to do next."""

    type: str = Field(
        examples=["/problems/not-found"],
        description="Address of the page that explains the problem. Its last part is the code, for programs.",
    )
    title: str = Field(description="What kind of problem it is, the same for every problem of that code.")
    status: int = Field(ge=400, le=599, description="HTTP status of this answer.")
    detail: str = Field(
        description="What happened in this request; never what was sent, nor anything biometric."
    )
    next_step: str = Field(description="What the caller can do about it; may be empty.")
    instance: str = Field(
        description="Names this one request, in the service's logs too: `urn:recon:request:` and its "
        "`X-Request-ID`."
    )


class ProblemNote(Body):
    """Why one part of a request could not be used."""

    code: str = Field(description="Which problem, for programs; `GET /problems/{code}` explains it.")
    detail: str = Field(description="What happened.")
    next_step: str = Field(description="What can be done about it; may be empty.")


def problem_note(problem: Problem | None) -> ProblemNote | None:
    """On the wire."""
    return (
        ProblemNote(code=problem.code, detail=problem.detail, next_step=problem.next_step)
        if problem
        else None
    )


def example(body: dict[str, Any]) -> dict[str, Any]:
    """The content of an OpenAPI response with one example."""
    return {"content": {"application/json": {"example": body}}}


def examples(**bodies: dict[str, Any]) -> dict[str, Any]:
    """The content of an OpenAPI response with several examples, by name."""
    return {"content": {"application/json": {"examples": {k: {"value": v} for k, v in bodies.items()}}}}
