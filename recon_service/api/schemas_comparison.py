"""What the activation of a batch would change, as it is on the wire."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_evaluations import BatchEvaluationBody
from recon_service.api.schemas_fields import BatchField, Count, SubjectField
from recon_service.api.schemas_templates import mesh_path
from recon_service.application.reenrolling.batch_comparison import BatchComparison, ProbesChange, ScoreChange
from recon_service.domain.template import Decision


class SpreadBody(Body):
    """Middle, 95th percentile and largest of a number over the sample."""

    median: float = Field(description="The middle value.")
    high: float = Field(description="95th percentile.")
    largest: float = Field(description="The largest value.")


class ScoreChangeBody(Body):
    """Log-likelihood ratios of kept visits under the former templates and under the candidates."""

    count: Count = Field(description="How many comparisons.")
    former: float = Field(description="Mean score with the former templates, natural log-likelihood ratio.")
    candidate: float = Field(description="Mean score with the candidates, natural log-likelihood ratio.")
    largest_fall: float = Field(description="How far the score falls where it falls most; 0: nowhere.")
    largest_rise: float = Field(description="How far the score rises where it rises most; 0: nowhere.")
    falling: float = Field(description="Share of the comparisons whose score falls, 0 to 1.")


class TurnedBody(Body):
    """Probes whose decision would be another, under the policy in force."""

    former: Decision = Field(description="What the policy in force decides with the former template.")
    candidate: Decision = Field(description="What it decides with the candidate.")
    count: Count = Field(description="How many probes.")


class ProbesBody(Body):
    """Recent verifications, compared again with both templates as a verification would do it."""

    subjects: Count = Field(description="Subjects of the sample of whom any probes were kept.")
    scores: ScoreChangeBody = Field(
        description="The scores of these probes with both templates of their subject."
    )
    policy: str = Field(description="Name of the policy in force, which decides with both templates.")
    changed: Count = Field(description="Probes whose decision would be another.")
    turned: list[TurnedBody] = Field(description="Which decisions would become which; empty: none changes.")
    told: dict[Decision, int] = Field(
        description="What was decided when they were seen: how many by decision."
    )

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

    side: str = Field(description="`former` or `candidate`.")
    reference: str = Field(description="What the templates rest on: `METHOD/LIGHT/PICTURES`.")
    probe: str = Field(description="What they were compared with: `depth/CAMERA/FRAMES`.")
    templates: Count = Field(description="How many templates of the sample are of this kind.")
    dataset: str = Field(description="Name of the set of people that it was measured on.")
    people: Count = Field(description="How many people that are.")
    eer: float = Field(description="Equal error rate, 0 to 1.")
    cllr: float = Field(description="Cost of the log-likelihood ratios, bits; 0 is perfect, 1 says nothing.")


class OutlierBody(Body):
    """A subject whose template would change most."""

    subject_id: SubjectField
    shift: float = Field(
        description="How far the mean shape moves, root mean square over the leading modes, in standard "
        "deviations of people."
    )
    width: float = Field(
        description="How wide the candidate's posterior is, over the former's; 1: equally sure."
    )
    fall: float | None = Field(
        description="How far the score of the worst own visit or probe falls, natural log-likelihood ratio; "
        "below 0 it rises. Null: none was kept."
    )
    problem: str = Field(description="Code of why the two cannot be compared; empty: they can.")
    links: dict[str, str] = Field(
        description="Addresses of the faces before and after; looking at one is audited."
    )


class ComparisonBody(Body):
    """What the activation would change, from a sample."""

    batch_id: BatchField
    candidates: Count = Field(description="Templates that the batch made.")
    sampled: Count = Field(description="How many of them were looked at, by chance.")
    shift: SpreadBody = Field(description="How far the mean shapes move, in standard deviations of people.")
    width: SpreadBody = Field(
        description="How wide the posteriors of the candidates are, over the former ones; 1: equally sure."
    )
    probes: ProbesBody | None = Field(
        description="Recent verifications of the subjects, where their consent lets them be kept; null: none."
    )
    visits: ScoreChangeBody | None = Field(
        description="Subjects' own visits that strengthening kept; null: there are none."
    )
    strangers: ScoreChangeBody | None = Field(
        description="Visits and probes of one subject against templates of another, whose scores should stay "
        "low; null: there are none."
    )
    incomparable: Count = Field(
        description="Subjects of the sample whose two templates are of different models."
    )
    evaluation: list[EvaluationBody] = Field(
        description="What the calibration in force says of such templates, as it was measured when it was "
        "learned."
    )
    evaluations: list[BatchEvaluationBody] = Field(
        description="Both ways tried on the same people, where `:evaluate` was asked for; empty: it was not."
    )
    outliers: list[OutlierBody] = Field(
        description="Those who would change most: who cannot be compared, then whose own score falls most."
    )

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
