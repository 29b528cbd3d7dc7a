"""Bodies of batches, as they are on the wire, with their examples."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_fields import BatchField, Count, MadeWithCalibration, ModelField, SubjectField
from recon_service.application.records.batches import (
    BatchItem,
    BatchState,
    ItemState,
    Material,
    Preview,
    Standing,
)
from recon_service.application.reenrolling.batches import BatchProgress


class MadeWithBody(Body):
    """Subjects whose template in force one model and calibration made."""

    model: ModelField
    calibration: MadeWithCalibration
    subjects: Count = Field(description="How many of the selected subjects.")


class PreviewBody(Body):
    """What a batch finds."""

    selected: Count = Field(description="Subjects whose template in force meets the conditions.")
    with_selfies: Count = Field(description="Of these, how many have selfies kept by consent.")
    with_evidence: Count = Field(
        description="Of these, how many have evidence (what was seen in the selfies) kept by consent."
    )
    needs_new_selfie: Count = Field(
        description="Of these, how many have nothing kept that the target may use."
    )
    unknown: Count = Field(
        description="Subjects that the selection lists and that have no template in force."
    )
    made_with: list[MadeWithBody] = Field(
        description="The selected subjects by what made their template in force."
    )

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
    """A selection as it was asked for."""

    all: bool = Field(description="Whether every subject was asked for.")
    listed: Count = Field(
        description="How many subjects the request listed; 0: it listed none. Who they are is not told."
    )
    model: str | None = Field(
        description="Name of the morphable model that made the template; null: no such condition."
    )
    calibration: str | None = Field(description="Calibration that made it; null: no such condition.")
    made_before: datetime | None = Field(
        description="Templates made before that moment; null: no such condition."
    )
    quality_below: float | None = Field(
        description="Templates whose quality (0 to 100) is below; null: no such condition."
    )


class AimBody(Body):
    """A target as it was asked for."""

    backend: str = Field(description="Reconstruction backend whose meshes take part.")
    model: str = Field(
        description="Morphable model to derive them under; empty: the one in force where an item is worked "
        "on."
    )
    calibration: str = Field(
        description="Calibration to derive them under; empty: the one in force where an item is worked on."
    )
    materials: list[Material] = Field(description="What may be used, best first.")


class BatchBody(Body):
    """A batch with its counts."""

    batch_id: BatchField
    state: BatchState = Field(
        description="Where it stands. `ready`: every item has its end, and nothing is in force yet."
    )
    selection: ChosenBody = Field(description="Whose templates it derives anew.")
    target: AimBody = Field(description="What the templates are to become.")
    priority: int = Field(description="Of two batches the one with the higher number goes first, 0 to 9.")
    created_by: str = Field(description="Id of the API key that submitted it.")
    created_at: datetime = Field(description="When it was submitted; who enrolls later is no part of it.")
    updated_at: datetime = Field(description="When the batch itself changed last; its items do not count.")
    begun_at: datetime | None = Field(
        description="When work on its items began the last time; null: not yet."
    )
    ended_at: datetime | None = Field(description="When that work ended the last time; null: it has not.")
    items_gone_at: datetime | None = Field(
        description="Since when its items are destroyed (`RECON_BATCH_DAYS`), while the counts stay; null: "
        "they are there."
    )
    expected: Count = Field(description="Subjects that were selected when it was submitted.")
    listed: Count = Field(description="Items that were made so far; they are made in pages.")
    all_listed: bool = Field(description="Whether every item was made.")
    done: Count = Field(description="Items that have their end.")
    items: dict[ItemState, int] = Field(description="Items by state.")
    standings: dict[Standing, int] = Field(
        description="Candidates, the templates that items made, by whether they are in force."
    )
    reasons: dict[str, int] = Field(description="Why items did not succeed: how many by code.")
    materials: dict[str, int] = Field(description="What templates were derived from: how many by material.")
    per_second: float | None = Field(
        description="Items ended per second, over the last minute; null: it does not run."
    )
    seconds_left: float | None = Field(
        description="Seconds until all items have ended, at that rate; null: cannot be told."
    )
    blocked: bool = Field(
        description="Whether it runs and no worker that gives a sign of life can do what the target asks for."
    )
    links: dict[str, str] = Field(description="Addresses: `self` and `items`.")

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
    """A batch that was submitted, or what it would find."""

    preview: PreviewBody = Field(description="What the selection finds.")
    batch: BatchBody | None = Field(description="The batch; null for a dry run.")


class BatchesBody(Body):
    """A page of batches, newest first."""

    batches: list[BatchBody] = Field(description="Newest first.")


class RetriedBody(Body):
    """What a retry began."""

    items: Count = Field(description="How many items wait again.")
    batch: BatchBody = Field(description="The batch, with these items waiting.")


class ItemBody(Body):
    """One subject's part of a batch."""

    subject_id: SubjectField
    state: ItemState = Field(
        description="Where it stands. `rejected`: what was kept is not good enough. `needs-new-selfie`: "
        "nothing was kept that the target may use."
    )
    attempts: Count = Field(description="How often a worker has begun it.")
    reason: str = Field(description="Code of why it did not succeed; empty: no such reason.")
    material: Material | None = Field(description="What its template was derived from; null: there is none.")
    template_id: str | None = Field(
        description="The candidate: the template that it made; null: there is none."
    )
    former_id: str | None = Field(
        description="The template that was in force when the candidate took its place; null: it did not."
    )
    standing: Standing | None = Field(
        description="Whether the candidate is in force. `superseded`: the subject got another template "
        "meanwhile, which was left in force. Null: no candidate."
    )
    ended_at: datetime | None = Field(description="When it ended; null: it has not.")

    @classmethod
    def of(cls, item: BatchItem) -> Self:
        """On the wire."""
        return cls(**{name: getattr(item, name) for name in cls.model_fields})


class ItemsBody(Body):
    """A page of items."""

    batch_id: BatchField
    items: list[ItemBody] = Field(description="In the order of their subjects' ids.")
    next: str | None = Field(description="Address of the next page; null: this is the last.")


def batch_path(batch_id: str) -> str:
    """Address of a batch."""
    return f"/v1/batches/{batch_id}"
