"""Bodies of batches, as they are on the wire, with their examples."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from recon_service.api.schemas import Body, mesh_path
from recon_service.api.schemas_evaluations import BatchEvaluationBody
from recon_service.application.records.batches import (
    FROM_CAPTURES,
    MAX_LISTED_SUBJECTS,
    MAX_PRIORITY,
    BatchItem,
    BatchState,
    BatchTarget,
    ItemState,
    Material,
    Preview,
    Selection,
    Standing,
)
from recon_service.application.records.operations import LANDMARKS_ALONE
from recon_service.application.reenrolling.batch_comparison import BatchComparison, ProbesChange, ScoreChange
from recon_service.application.reenrolling.batches import BatchProgress
from recon_service.domain.template import Decision


class Asked(BaseModel):
    """Base of what callers send."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SelectionBody(Asked):
    """Conditions on the template in force of a subject, all of which must hold; or ``all``."""

    all: bool = Field(False, description="Everybody. Said outright, where there is no condition.")
    subjects: list[str] | None = Field(None, max_length=MAX_LISTED_SUBJECTS, min_length=1)
    model: str | None = Field(None, max_length=100, description="Name of the model that made it.")
    calibration: str | None = Field(None, max_length=100, description="As templates have it.")
    made_before: AwareDatetime | None = None
    quality_below: float | None = Field(None, ge=0, le=100)

    def selection(self) -> Selection:
        """Raises InvalidValue."""
        return Selection(
            subjects=tuple(dict.fromkeys(self.subjects)) if self.subjects is not None else None,
            model=self.model,
            calibration=self.calibration,
            made_before=self.made_before,
            quality_below=self.quality_below,
            everybody=self.all,
        )


class TargetBody(Asked):
    """What templates are to become."""

    backend: str = Field(LANDMARKS_ALONE, description="Reconstruction model whose meshes take part.")
    model: str = Field(
        "",
        max_length=100,
        description="Canonical model to derive them under, of those that workers run or can load (`others` "
        "in `GET /v1/models`); empty: the one that is in force where the item is worked on.",
    )
    calibration: str = Field("", max_length=100, description="Likewise; its name, or name and digest.")
    materials: list[Material] = Field(
        list(FROM_CAPTURES), description="What may be used, of what was kept; the best there is is taken."
    )

    def target(self) -> BatchTarget:
        """Raises UnknownBackend, InvalidValue."""
        return BatchTarget(self.backend, self.model, self.calibration, tuple(self.materials))


class BatchRequest(Asked):
    """A batch, or with ``dry_run`` a look at what it would find."""

    selection: SelectionBody
    target: TargetBody = Field(default_factory=lambda: TargetBody.model_validate({}))
    priority: int = Field(5, ge=0, le=MAX_PRIORITY, description="Of two batches the higher one first.")
    dry_run: bool = False


class MadeWithBody(Body):
    """Subjects whose template in force one model and calibration made."""

    model: str
    calibration: str
    subjects: int


class PreviewBody(Body):
    """What a batch finds."""

    selected: int
    with_selfies: int = Field(description="Kept by consent.")
    with_evidence: int = Field(description="Kept by consent.")
    needs_new_selfie: int = Field(description="Nothing was kept that the target may use.")
    unknown: int = Field(description="Listed, but without a template in force.")
    made_with: list[MadeWithBody]

    @classmethod
    def of(cls, found: Preview) -> Self:
        """On the wire."""
        return cls(
            selected=found.selected,
            with_selfies=found.selfies,
            with_evidence=found.evidence,
            needs_new_selfie=found.nothing,
            unknown=found.unknown,
            made_with=[
                MadeWithBody(model=model, calibration=calibration, subjects=n)
                for (model, calibration), n in sorted(found.models.items())
            ],
        )


class ChosenBody(Body):
    """A selection as it was asked for; listed: how many subjects it named."""

    all: bool
    listed: int
    model: str | None
    calibration: str | None
    made_before: datetime | None
    quality_below: float | None


class AimBody(Body):
    """A target as it was asked for."""

    backend: str
    model: str
    calibration: str
    materials: list[Material]


class BatchBody(Body):
    """A batch with its counts."""

    batch_id: str
    state: BatchState
    selection: ChosenBody
    target: AimBody
    priority: int
    created_by: str = Field(description="Id of the API key.")
    created_at: datetime = Field(description="Who enrolls later is no part of it.")
    updated_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    items_gone_at: datetime | None = Field(
        description="Since then the items are destroyed (`RECON_BATCH_DAYS`); the counts are of before."
    )
    expected: int = Field(description="Subjects that were selected at that moment.")
    listed: int = Field(description="Items that were made so far; they are made in pages.")
    all_listed: bool
    done: int = Field(description="Items that have their end.")
    items: dict[ItemState, int]
    standings: dict[Standing, int] = Field(description="Of the candidates.")
    reasons: dict[str, int] = Field(description="Why items did not succeed, by code.")
    materials: dict[str, int] = Field(description="What templates were derived from.")
    per_second: float | None = Field(description="Items ended, over the last minute; null: it does not run.")
    seconds_left: float | None = Field(description="At that rate; null: cannot be told.")
    blocked: bool = Field(description="No worker that gives a sign of life runs what the target asks for.")
    links: dict[str, str]

    @classmethod
    def of(cls, progress: BatchProgress) -> Self:
        """On the wire."""
        batch, tally = progress.batch, progress.tally
        chosen, path = batch.selection, batch_path(batch.batch_id)
        return cls(
            batch_id=batch.batch_id,
            state=batch.state,
            selection=ChosenBody(
                all=chosen.everybody,
                listed=chosen.listed or len(chosen.subjects or ()),
                model=chosen.model,
                calibration=chosen.calibration,
                made_before=chosen.made_before,
                quality_below=chosen.quality_below,
            ),
            target=AimBody(
                backend=batch.target.backend,
                model=batch.target.model,
                calibration=batch.target.calibration,
                materials=list(batch.target.materials),
            ),
            priority=batch.priority,
            created_by=batch.created_by,
            created_at=batch.moment,
            updated_at=batch.updated_at,
            begun_at=batch.begun_at,
            ended_at=batch.ended_at,
            items_gone_at=batch.items_gone_at,
            expected=batch.expected,
            listed=tally.listed,
            all_listed=batch.listed_at is not None,
            done=tally.done,
            items={state: tally.states.get(state, 0) for state in ItemState},
            standings={standing: tally.standings.get(standing, 0) for standing in Standing},
            reasons=dict(sorted(tally.reasons.items())),
            materials=dict(sorted(tally.materials.items())),
            per_second=progress.per_second,
            seconds_left=progress.seconds_left,
            blocked=progress.blocked,
            links={"self": path, "items": f"{path}/items"},
        )


class SubmittedBody(Body):
    """batch: null for a dry run."""

    preview: PreviewBody
    batch: BatchBody | None


class BatchesBody(Body):
    """A page of batches, newest first."""

    batches: list[BatchBody]


class RetriedBody(Body):
    """What a retry began."""

    items: int = Field(description="That wait again.")
    batch: BatchBody


class ItemBody(Body):
    """One subject's part of a batch."""

    subject_id: str
    state: ItemState
    attempts: int
    reason: str = Field(description="Code of why it did not succeed, or empty.")
    material: Material | None
    template_id: str | None = Field(description="The candidate.")
    former_id: str | None = Field(description="The template that was in force before it.")
    standing: Standing | None
    ended_at: datetime | None

    @classmethod
    def of(cls, item: BatchItem) -> Self:
        """On the wire."""
        return cls(**{name: getattr(item, name) for name in cls.model_fields})


class ItemsBody(Body):
    """A page of items."""

    batch_id: str
    items: list[ItemBody]
    next: str | None = Field(description="Where the next page is; null: there is none.")


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


def batch_path(batch_id: str) -> str:
    """Address of a batch."""
    return f"/v1/batches/{batch_id}"
