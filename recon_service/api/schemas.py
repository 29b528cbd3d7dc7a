"""What all bodies share: their base, problems, and how an example gets into the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recon_service.application.records.operations import Problem


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
