"""Models and calibrations: what workers run, and which templates were made by which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import Batch, BatchTarget
from recon_service.application.records.models import ModelsInForce, TemplateCount, WorkerReport
from recon_service.application.records.operations import LANDMARKS_ALONE

ALIVE_FOR: Final = timedelta(seconds=45)
"""A worker that has not reported for so long is not counted on."""
FORGOTTEN_AFTER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ModelsOverview:
    """workers: those that gave a sign of life. templates: counts by what made them."""

    workers: tuple[WorkerReport, ...]
    templates: tuple[TemplateCount, ...]

    @property
    def in_force(self) -> tuple[ModelsInForce, ...]:
        """What workers run, each once."""
        return tuple(dict.fromkeys(w.models for w in self.workers if w.models is not None))


def report_worker(report: WorkerReport, *, on: Stores) -> None:
    """A sign of life. Raises StorageFault."""
    with on.database.transaction() as tx:
        tx.workers.report(report)
        tx.workers.forget(before=report.reported_at - FORGOTTEN_AFTER)


def overview_of_models(*, on: Stores) -> ModelsOverview:
    """Everything that is known of models at this moment."""
    with on.database.snapshot() as tx:
        workers = tx.workers.alive(since=on.clock() - ALIVE_FOR)
        return ModelsOverview(tuple(workers), tuple(tx.workers.template_counts()))


def serves(batch: Batch, models: ModelsInForce) -> bool:
    """Whether a worker that runs these models may take the batch's items."""
    target = batch.target
    backends = {b.name for b in models.backends if not b.problem}
    known = target.backend == LANDMARKS_ALONE or target.backend in backends
    return known and model_for(target, models) is not None


def model_for(target: BatchTarget, models: ModelsInForce) -> str | None:
    """The canonical model that a worker derives the target's templates with: the one in force if it will do,
    else another that it can load; None: it has none that will do.
    """
    for model, calibration in (
        (models.model, models.calibration),
        *((other.model, other.calibration) for other in models.others),
    ):
        names = ("", calibration, calibration.partition("@")[0])
        if target.model in ("", model) and target.calibration in names:
            return model
    return None
