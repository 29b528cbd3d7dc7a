"""Bodies of batches, as they are on the wire, with their examples."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from recon_service.api.schemas import Body
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
from recon_service.application.reenrolling.batches import BatchProgress


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


def batch_path(batch_id: str) -> str:
    """Address of a batch."""
    return f"/v1/batches/{batch_id}"
