"""Bodies of the evaluations of batches, as they are on the wire."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Self

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_fields import BatchField, Count, MadeWithCalibration, ModelField
from recon_service.application.records.batches import Material
from recon_service.application.records.evaluations import (
    BatchEvaluation,
    EvaluationOutcome,
    EvaluationSet,
    EvaluationState,
    SideFigures,
    Way,
)


class WayBody(Body):
    """How templates are made."""

    model: ModelField
    calibration: MadeWithCalibration
    backend: str = Field(description="Reconstruction backend whose meshes take part.")
    material: Material = Field(
        description="`selfies`: enrolled from them; else derived, from what `parent` made."
    )
    parent: WayBody | None = Field(
        description="How the template was made that this one is derived from; null: enrolled from selfies."
    )


class FigureBody(Body):
    """A rate, 0 to 1 (Cllr: bits), with its 95 % interval over people."""

    value: float | None = Field(description="The figure; null: it cannot be measured with so many people.")
    low: float | None = Field(description="Lower end of the 95 % interval over people; null: there is none.")
    high: float | None = Field(description="Upper end of the 95 % interval over people; null: there is none.")
    refused: str = Field(description="Why there is no value; empty: there is one.")


class SideFiguresBody(Body):
    """How one way did."""

    way: WayBody = Field(description="How these templates are made.")
    scored_with: str = Field(
        description="Calibration that the scores are of: the way's own where it is installed, or that in "
        "force."
    )
    code: str = Field(description="Beginning of the digest of the code that looked at the people.")
    enrollments: Count = Field(description="Enrollments that were tried, with those that gave no template.")
    failed_enrollments: Count = Field(description="Enrollments that gave no template.")
    visits: Count = Field(description="Visits that were tried, with those that gave nothing to compare.")
    failed_visits: Count = Field(description="Visits that gave nothing to compare.")
    eer: FigureBody = Field(description="Equal error rate, 0 to 1.")
    fnmr_at_fmr: FigureBody = Field(
        description="False non-match rate, 0 to 1, at the false match rate that the policy claims."
    )
    fnmr: FigureBody = Field(
        description="False non-match rate, 0 to 1, at the policy's threshold for a match."
    )
    fmr: FigureBody = Field(description="False match rate, 0 to 1, at the policy's threshold for a match.")
    cllr: FigureBody = Field(
        description="Cost of the log-likelihood ratios, bits; 0 is perfect, 1 says nothing."
    )


class DifferenceBody(Body):
    """Candidate less former, over the same comparisons; the interval comes from drawing the same people for
    both.
    """

    rate: str = Field(description="Which figure: `eer`, `fnmr_at_fmr`, `fnmr`, `fmr` or `cllr`.")
    value: float = Field(
        description="The candidate's figure less the former's; below 0 the candidate does better."
    )
    low: float = Field(description="Lower end of the 95 % interval.")
    high: float = Field(description="Upper end of the 95 % interval.")
    more_than_chance: bool = Field(description="Whether the interval is without 0.")


class OutcomeBody(Body):
    """Both ways on the same people."""

    dataset: str = Field(description="Name of the set of people.")
    notes: list[str] = Field(description="What to know about the set when reading the figures; may be empty.")
    row: str = Field(
        description="What is compared: `image5-depth3`, five selfies against visits of three depth frames."
    )
    people: Count = Field(description="How many people the set has.")
    genuine: Count = Field(description="Comparisons of a person with themself.")
    impostor: Count = Field(description="Comparisons of two people.")
    policy: str = Field(description="Name of the policy in force.")
    claimed_fmr: float | None = Field(
        description="False match rate that the policy claims, 0 to 1; null: it claims none."
    )
    same: bool = Field(description="Whether both ways are one here, code included: they cannot differ.")
    former: SideFiguresBody = Field(description="How the templates in force did.")
    candidate: SideFiguresBody = Field(description="How the batch's templates did.")
    differences: list[DifferenceBody] = Field(
        description="What both ways differ by; empty: nothing can be told."
    )


class BatchEvaluationBody(Body):
    """An evaluation of a batch on one set of people."""

    evaluation_set: EvaluationSet = Field(
        description="`simulated`: people who do not exist, the same ones every time. `real`: those of "
        "RECON_EVALUATION_SET."
    )
    state: EvaluationState = Field(
        description="`pending`: it waits for a worker that has nothing more urgent, or is under way."
    )
    done: Count = Field(description="People and ways looked at; what earlier evaluations looked at counts.")
    total: Count = Field(description="People and ways to look at; 0: nobody has begun.")
    reason: str = Field(description="Code of why it failed; empty: it did not.")
    next_step: str = Field(description="What can be done about that; may be empty.")
    asked_at: datetime = Field(description="When it was asked for.")
    updated_at: datetime = Field(description="When it changed last.")
    outcome: OutcomeBody | None = Field(description="What was found; null until it is done.")

    @classmethod
    def of(cls, found: BatchEvaluation) -> Self:
        """On the wire."""
        return cls(
            evaluation_set=found.evaluation_set,
            state=found.state,
            done=found.done,
            total=found.total,
            reason=found.reason,
            next_step=found.next_step,
            asked_at=found.asked_at,
            updated_at=found.updated_at,
            outcome=_outcome(found.outcome) if found.outcome is not None else None,
        )


class EvaluationsBody(Body):
    """The evaluations of a batch."""

    batch_id: BatchField
    evaluations: list[BatchEvaluationBody] = Field(
        description="One for each set of people; empty: none was asked for."
    )


def _outcome(found: EvaluationOutcome) -> OutcomeBody:
    sides = {"former": _side(found.former), "candidate": _side(found.candidate)}
    return OutcomeBody.model_validate({**asdict(found), **sides})


def _side(found: SideFigures) -> SideFiguresBody:
    return SideFiguresBody.model_validate({**asdict(found), "way": _way(found.way)})


def _way(found: Way) -> WayBody:
    return WayBody.model_validate(asdict(found))


_WAY: Final[dict[str, Any]] = {
    "model": "ict-facekit-light",
    "calibration": "released-1@0b9f2d4c6e8a",
    "backend": "facemesh",
    "material": "selfies",
    "parent": None,
}
_NONE: Final[dict[str, Any]] = {"value": 0.0, "low": 0.0, "high": 0.118, "refused": ""}


def _figures(way: dict[str, Any], scored_with: str, cllr: float) -> dict[str, Any]:
    return {
        "way": way,
        "scored_with": scored_with,
        "code": "ff46c82f23b3",
        "enrollments": 24,
        "failed_enrollments": 0,
        "visits": 48,
        "failed_visits": 0,
        "eer": _NONE,
        "fnmr_at_fmr": _NONE,
        "fnmr": {"value": 0.042, "low": 0.0, "high": 0.15, "refused": ""},
        "fmr": _NONE,
        "cllr": {"value": cllr, "low": cllr - 0.03, "high": cllr + 0.05, "refused": ""},
    }


EVALUATION: Final[dict[str, Any]] = {
    "evaluation_set": "simulated",
    "state": "done",
    "done": 48,
    "total": 48,
    "reason": "",
    "next_step": "",
    "asked_at": "2026-03-04T10:00:00Z",
    "updated_at": "2026-03-04T10:06:30Z",
    "outcome": {
        "dataset": "synthetic-2027",
        "notes": ["The people are rendered."],
        "row": "image5-depth3",
        "people": 24,
        "genuine": 48,
        "impostor": 1104,
        "policy": "pilot-1",
        "claimed_fmr": 0.06,
        "same": False,
        "former": _figures(_WAY, "released-1@0b9f2d4c6e8a", 0.08),
        "candidate": _figures(
            {**_WAY, "calibration": "released-2@5d7f3e8a9b0c"}, "released-2@5d7f3e8a9b0c", 0.06
        ),
        "differences": [
            {"rate": "cllr", "value": -0.02, "low": -0.035, "high": -0.004, "more_than_chance": True}
        ],
    },
}
PENDING: Final[dict[str, Any]] = {
    **EVALUATION,
    "evaluation_set": "real",
    "state": "pending",
    "done": 9,
    "total": 80,
    "outcome": None,
}
EVALUATIONS: Final[dict[str, Any]] = {
    "batch_id": "batch_3c1e8b1f4c0f9d9a4f5b7a6e1d2c5f0c",
    "evaluations": [EVALUATION, PENDING],
}
