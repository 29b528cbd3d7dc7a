"""What is said about selfies, as it is on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from recon_service.api.schemas import Body, ProblemNote, problem_note
from recon_service.application.records.operations import SelfieReport


class MeasureBody(Body):
    """One quality measure of one selfie."""

    name: str = Field(
        examples=["sharpness"], description="Stable name of the measure; docs/quality.md lists them."
    )
    raw: float = Field(description="The measured value, in `unit`.")
    unit: str = Field(description="Unit of `raw`, such as `luma`, `degrees` or `ratio`.")
    score: float = Field(description="The value as a grade: 0 (useless) to 100 (ideal).")
    verdict: Literal["good", "warning", "rejected"] = Field(
        description="`rejected` rejects the selfie; `warning` leaves it accepted, with a hint."
    )
    hint: str = Field(description="What the person can do, in English; empty when good.")
    component: str = Field(
        default="", description="Quality component of ISO/IEC 29794-5; empty if the standard has none."
    )
    code: str = Field(default="", description="Reason for the verdict, for programs; empty when good.")
    advice: bool = Field(
        default=False,
        description="Whether the measure only warns and never rejects, however low its score is.",
    )


class SelfieBody(Body):
    """What is said about one selfie, in the order of the request."""

    accepted: bool = Field(description="Whether the selfie is good enough to enroll from.")
    used: bool = Field(
        default=True, description="Whether it counts: of more pictures than are needed the best do."
    )
    score: float | None = Field(
        description="The weakest score of the measures that may reject, 0 to 100; null when the file could "
        "not be read."
    )
    unified_score: float | None = Field(
        default=None,
        description="All measures but the angles in one number, 0 to 100; null when the file could not be "
        "read.",
    )
    hints: list[str] = Field(
        description="What the person can do, most important first; empty when nothing can be better."
    )
    measures: list[MeasureBody] = Field(
        description="Every measure of the gate; empty when the file could not be read."
    )
    problem: ProblemNote | None = Field(
        None,
        description="Why it cannot be used, other than by its measures: not a picture, or not the person of "
        "the other selfies. Null: nothing of the kind.",
    )


class QualityBody(Body):
    """What the gate of the enrollment would say."""

    accepted: bool = Field(description="Whether an enrollment with these selfies would succeed.")
    selfies: list[SelfieBody] = Field(
        description="What is said about each selfie, in the order of the request."
    )


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
