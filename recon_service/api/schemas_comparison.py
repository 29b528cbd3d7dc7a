"""What the activation of a batch would change, as it is on the wire."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_evaluations import BatchEvaluationBody
from recon_service.api.schemas_templates import mesh_path
from recon_service.application.reenrolling.batch_comparison import BatchComparison, ProbesChange, ScoreChange
from recon_service.domain.template import Decision


class SpreadBody(Body):
    """Middle, 95th percentile and largest of a number over the sample."""

    median: float
    high: float
    largest: float


class ScoreChangeBody(Body):
    """Log-likelihood ratios of kept visits under the former templates and under the candidates."""

    count: int
    former: float = Field(description="Mean.")
    candidate: float = Field(description="Mean.")
    largest_fall: float
    largest_rise: float
    falling: float = Field(description="Share.")


class TurnedBody(Body):
    """Probes whose decision would be another, under the policy in force."""

    former: Decision
    candidate: Decision
    count: int


class ProbesBody(Body):
    """Recent verifications, compared again with both templates as a verification would do it."""

    subjects: int = Field(description="Of the sample, that any were kept of.")
    scores: ScoreChangeBody
    policy: str = Field(description="In force: it decides with both templates.")
    changed: int = Field(description="Probes whose decision would be another.")
    turned: list[TurnedBody]
    told: dict[Decision, int] = Field(description="What was decided when they were seen.")

    @classmethod
    def of(cls, found: ProbesChange) -> Self:
        """On the wire."""
        return cls(
            subjects=found.subjects,
            scores=ScoreChangeBody(**asdict(found.scores)),
            policy=found.policy,
            changed=found.changed,
            turned=[TurnedBody(**asdict(one)) for one in found.turned],
            told=dict(found.told),
        )


class EvaluationBody(Body):
    """How a kind of template did on people whom the calibration in force was not learned on."""

    side: str = Field(description="former or candidate")
    reference: str
    probe: str
    templates: int = Field(description="Of the sample.")
    dataset: str
    people: int
    eer: float
    cllr: float


class OutlierBody(Body):
    """A subject whose template would change most. fall: of the worst own visit or probe; null: none was
    kept.
    """

    subject_id: str
    shift: float
    width: float
    fall: float | None
    problem: str = Field(description="Why the two cannot be compared, by code, or empty.")
    links: dict[str, str] = Field(description="The faces before and after; looking at one is audited.")


class ComparisonBody(Body):
    """What the activation would change, from a sample."""

    batch_id: str
    candidates: int
    sampled: int
    shift: SpreadBody = Field(description="Of the mean shape, in standard deviations of people.")
    width: SpreadBody = Field(description="Of the posterior, candidate over former.")
    probes: ProbesBody | None = Field(
        description="Recent verifications of the subjects, where their consent lets them be kept; null: none."
    )
    visits: ScoreChangeBody | None = Field(
        description="Subjects' own visits that strengthening kept; null: there are none."
    )
    strangers: ScoreChangeBody | None = Field(description="Visits and probes of others.")
    incomparable: int
    evaluation: list[EvaluationBody] = Field(
        description="What the calibration in force says of such templates, as it was measured when it was "
        "learned."
    )
    evaluations: list[BatchEvaluationBody] = Field(
        description="Both ways tried on the same people, where `:evaluate` was asked for."
    )
    outliers: list[OutlierBody]

    @classmethod
    def of(cls, found: BatchComparison) -> Self:
        """On the wire."""

        def change(score: ScoreChange | None) -> ScoreChangeBody | None:
            return ScoreChangeBody(**asdict(score)) if score is not None else None

        return cls(
            batch_id=found.batch_id,
            candidates=found.candidates,
            sampled=found.sampled,
            shift=SpreadBody(**asdict(found.shift)),
            width=SpreadBody(**asdict(found.width)),
            probes=ProbesBody.of(found.probes) if found.probes is not None else None,
            visits=change(found.visits),
            strangers=change(found.strangers),
            incomparable=found.incomparable,
            evaluation=[EvaluationBody(**asdict(figure)) for figure in found.evaluation],
            evaluations=[BatchEvaluationBody.of(one) for one in found.evaluations],
            outliers=[
                OutlierBody(
                    subject_id=one.subject_id,
                    shift=round(one.shift, 4),
                    width=round(one.width, 4),
                    fall=one.fall,
                    problem=one.problem,
                    links={
                        "former": mesh_path(one.subject_id, one.former_id),
                        "candidate": mesh_path(one.subject_id, one.candidate_id),
                        "former_picture": picture_path(one.subject_id, one.former_id),
                        "candidate_picture": picture_path(one.subject_id, one.candidate_id),
                    },
                )
                for one in found.outliers
            ],
        )


def picture_path(subject_id: str, template_id: str) -> str:
    """Address of a template's picture."""
    return f"/v1/subjects/{subject_id}/templates/{template_id}/picture.png"
