"""Batches of re-enrollment in the database, what was kept for them, and the workers that run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from recon_service.application.ports.compute import Progress
from recon_service.application.records.batches import (
    Batch,
    BatchItem,
    BatchState,
    Group,
    ItemEnd,
    ItemState,
    Preview,
    Selection,
    Standing,
    Tally,
)
from recon_service.application.records.evidence import SealedEvidence
from recon_service.application.records.models import ModelsInForce, TemplateCount, WorkerReport
from recon_service.application.records.operations import EnrollmentOutcome, StoredSelfies

if TYPE_CHECKING:  # the API process never loads what these modules need
    from recon_service.domain.template import Template


@dataclass(frozen=True, slots=True)
class Switched:
    """Subjects whose template in force was exchanged: (subject, template before, template now); and how many
    items were looked at.
    """

    exchanged: tuple[tuple[str, str, str], ...]
    looked_at: int


class Batches(Protocol):
    """Batches. Rows are locked in the order batch, subjects, items, others."""

    def add(self, batch: Batch, *, subjects: Sequence[str] | None = None) -> None:
        """subjects: items are made at once, for those that the selection has."""
        ...

    def get(self, batch_id: str, *, lock: bool = False) -> Batch | None: ...

    def newest(self, *, limit: int, before: datetime | None = None) -> list[Batch]: ...

    def working(self) -> list[Batch]:
        """Those in which there is something to do, most urgent first."""
        ...

    def change(self, batch_id: str, *, into: BatchState, out_of: Sequence[BatchState], now: datetime) -> bool:
        """False: it is in none of those states."""
        ...

    def preview(self, selection: Selection, *, moment: datetime) -> Preview:
        """Its ``nothing`` counts subjects with neither selfies nor evidence."""
        ...

    def list_page(self, batch_id: str, *, limit: int, now: datetime) -> int | None:
        """Make items for the next subjects; how many. None: somebody else does it, or all have been made."""
        ...

    def complete(self, batch_id: str, *, now: datetime) -> bool:
        """READY when every item was made and has its end."""
        ...

    def unended(self) -> list[Batch]:
        """Batches that nobody works on any more and that still have open items."""
        ...


class BatchItems(Protocol):
    """The items of batches, taken and finished in groups."""

    def take(
        self, batch_id: str, *, token: str, limit: int, now: datetime, stale_before: datetime
    ) -> Group | None:
        """Items that wait and are due, or whose runner has been silent; None: there is none."""
        ...

    def beat(self, group: Group, *, now: datetime) -> BatchState | None:
        """A sign of life for what is still held; the batch's state."""
        ...

    def finish(self, group: Group, ends: Sequence[ItemEnd], *, now: datetime) -> list[str]:
        """Write ends with their candidates, of items that are still held; their subjects."""
        ...

    def give_back(self, group: Group, subjects: Sequence[str], *, now: datetime) -> None:
        """They wait again, and this attempt does not count; or end as cancelled, as their batch."""
        ...

    def close_open(self, batch_id: str, *, stale_before: datetime | None, now: datetime, limit: int) -> int:
        """Of a cancelled batch: what waits, and what runs in silence, ends as cancelled: a page of it; how
        many.
        """
        ...

    def retry_failed(self, batch_id: str, *, now: datetime, limit: int) -> int:
        """A page of the failed and superseded items waits again; how many."""
        ...

    def switch(self, batch_id: str, *, into: Standing, limit: int, now: datetime) -> Switched:
        """Activate, or roll back, the next candidates; each subject's in one step."""
        ...

    def begin_switch(self, batch_id: str, *, into: Standing, limit: int) -> int:
        """Those of an earlier attempt that were superseded are looked at again: a page of them; how many."""
        ...

    def tally(self, batch_id: str) -> Tally: ...

    def ended_since(self, batch_id: str, moment: datetime) -> int:
        """Items whose end is newer."""
        ...

    def items(
        self, batch_id: str, *, state: ItemState | None, standing: Standing | None, after: str, limit: int
    ) -> list[BatchItem]:
        """In the order of their subjects, from after that one."""
        ...

    def sample(self, batch_id: str, *, limit: int) -> list[BatchItem]:
        """Items with a candidate, by chance, the same ones every time."""
        ...

    def destroy_candidates(self, *, ended_before: datetime, limit: int) -> list[tuple[str, str]]:
        """Remove candidates that nobody can activate any more; subject and template of each."""
        ...

    def closable(self, *, ended_before: datetime, limit: int) -> list[str]:
        """Batches that came to their end before that moment, and of which nothing can be activated or rolled
        back any more.
        """
        ...

    def close(self, batch_id: str, *, ended_before: datetime, now: datetime) -> Tally | None:
        """If it is closable still: the counts of its items are kept from now on, and the items are not
        needed.
        """
        ...

    def destroy_items(self, *, limit: int) -> int:
        """Remove items of closed batches; how many."""
        ...

    def destroy_closed(self, *, closed_before: datetime, limit: int) -> list[str]:
        """Remove closed batches that have no items any more; their ids."""
        ...


class KeptEvidence(Protocol):
    """What was kept of a subject's enrollment for other models, by consent; one of each subject. Only what is
    of the enrollment in force is given: the one that the active template was made of, directly or by
    derivation.
    """

    def put(self, evidence: SealedEvidence) -> None:
        """Takes the place of an earlier one."""
        ...

    def forget(self, subject_id: str) -> None: ...

    def of(self, subject_id: str) -> SealedEvidence | None: ...

    def selfies_of(self, subject_id: str) -> list[StoredSelfies]:
        """Those that were kept of the enrollment in force."""
        ...


class Workers(Protocol):
    """Workers that gave a sign of life, and what they run."""

    def report(self, report: WorkerReport) -> None: ...

    def alive(self, *, since: datetime) -> list[WorkerReport]: ...

    def forget(self, *, before: datetime) -> None: ...

    def template_counts(self) -> list[TemplateCount]:
        """How many templates each model and calibration made."""
        ...


class Rederiving(Protocol):
    """The heavy part of a batch, wherever it runs."""

    def models(self) -> ModelsInForce:
        """What this worker runs. Raises WeightsUnavailable."""
        ...

    def under(self, model: str) -> Rederiving:
        """The same with that canonical model, which is the one in force or one of the others. Its files are
        read with the first call.
        """
        ...

    def reconstruct(
        self, selfies: Sequence[bytes], progress: Progress, *, backend: str
    ) -> EnrollmentOutcome: ...

    def refit(self, content: bytes, *, backend: str) -> EnrollmentOutcome:
        """From kept evidence. Raises StorageFault for bytes that are none, ModelMismatch for evidence that
        the model in force cannot use.
        """
        ...

    def carry_over(self, templates: Sequence[Template]) -> tuple[Template | str, ...]:
        """Each template as the model and calibration in force would hold it, or the code of why it cannot
        be.
        """
        ...
