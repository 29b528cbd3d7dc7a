"""What callers ask of a batch, as it is on the wire."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from recon_service.api.schemas import Asked
from recon_service.api.schemas_fields import ListedSubject
from recon_service.application.records.batches import (
    FROM_CAPTURES,
    MAX_LISTED_SUBJECTS,
    MAX_PRIORITY,
    BatchTarget,
    Material,
    Selection,
)
from recon_service.application.records.operations import BACKENDS, LANDMARKS_ALONE


class SelectionBody(Asked):
    """Conditions on the template in force of a subject, all of which must hold; or ``all``."""

    all: bool = Field(False, description="Every subject. Said outright, instead of any condition.")
    subjects: list[ListedSubject] | None = Field(
        None,
        max_length=MAX_LISTED_SUBJECTS,
        min_length=1,
        description="These subjects alone; null: no such condition. Who has no template in force is counted "
        "as `unknown`.",
    )
    model: str | None = Field(
        None,
        max_length=100,
        description="Name of the morphable model that made the template; null: whichever.",
    )
    calibration: str | None = Field(
        None,
        max_length=100,
        description="Name and digest of the calibration that made it, exactly as templates have it; null: "
        "whichever.",
    )
    made_before: AwareDatetime | None = Field(
        None, description="Templates made before that moment, with its time zone; null: whenever."
    )
    quality_below: float | None = Field(
        None, ge=0, le=100, description="Templates whose `quality` (0 to 100) is below; null: of any quality."
    )

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

    backend: str = Field(
        LANDMARKS_ALONE,
        json_schema_extra={"enum": list(BACKENDS)},
        description="Reconstruction backend whose meshes take part; `facemesh`: none, the landmarks and "
        "matches alone.",
    )
    model: str = Field(
        "",
        max_length=100,
        description="Morphable model to derive them under, of those that workers run or can load (`others` "
        "in `GET /v1/models`); empty: the one in force where the item is worked on.",
    )
    calibration: str = Field(
        "",
        max_length=100,
        description="Calibration to derive them under: its name, or name, `@` and digest; empty: the one in "
        "force where the item is worked on.",
    )
    materials: list[Material] = Field(
        list(FROM_CAPTURES),
        json_schema_extra={"minItems": 1, "uniqueItems": True},
        description="What may be used, of what was kept; the best there is is taken. `posterior` carries the "
        "stored template over.",
    )

    def target(self) -> BatchTarget:
        """Raises UnknownBackend, InvalidValue."""
        return BatchTarget(self.backend, self.model, self.calibration, tuple(self.materials))


class BatchRequest(Asked):
    """A batch, or with ``dry_run`` a look at what it would find."""

    selection: SelectionBody = Field(
        description="Whose templates are derived anew. All conditions must hold for the template in force."
    )
    target: TargetBody = Field(
        default_factory=lambda: TargetBody.model_validate({}),
        description="What the templates are to become; left out: what is in force, from selfies and "
        "evidence.",
    )
    priority: int = Field(
        5, ge=0, le=MAX_PRIORITY, description="Of two batches the one with the higher number goes first."
    )
    dry_run: bool = Field(
        False, description="Only count what the batch would find; nothing is put on record."
    )
