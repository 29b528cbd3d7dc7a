"""A service with something to see on its console: people, queues, batches in several states, workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from PIL import Image as PillowImage

from recon_service.application.ports.stores import utc_now
from recon_service.application.records.batches import BatchTarget, Material, Selection
from recon_service.application.records.models import BackendStanding, ModelsInForce, WorkerReport
from recon_service.application.records.versions import VersionChange, VersionsCompared
from recon_service.application.reenrolling.batches import activate_batch, submit_batch
from recon_service.application.reenrolling.models import report_worker
from recon_service.domain.template import Template
from tests.unit.application.batches_support import NoOpCompute, add_subject, add_subjects, work
from tests.unit.application.enrollments_support import ask, run
from tests.unit.application.stores import ScriptedCompute
from tests.unit.cli.serving import Serving, serving

MODELS = ModelsInForce(
    model="ict-facekit-light",
    digest="7d2a4c6e8b0f1a3c" * 4,
    space="ict-facekit-light",
    modes=100,
    calibration="released-2@4c6e8b0f1a3c",
    landmarks="facemesh468",
    appearance="edgeface-xs",
    backends=(
        BackendStanding("facemesh"),
        BackendStanding("tddfa_v2"),
        BackendStanding("deca", "weights-missing", "recon weights register deca"),
    ),
)
CARRIED = BatchTarget(materials=(Material.POSTERIOR,))


class Drawing(ScriptedCompute):
    """Draws a face of one color, and finds nothing changed."""

    def picture(self, template: Template) -> bytes:
        file = BytesIO()
        PillowImage.new("RGB", (60, 20), (90, 120, 150)).save(file, "PNG")
        return file.getvalue()

    def compare_versions(self, pairs, probes=()) -> VersionsCompared:  # type: ignore[no-untyped-def]
        return VersionsCompared(tuple(VersionChange() for _ in pairs), (), ())


@contextmanager
def busy_service(folder: Path) -> Iterator[Serving]:
    """Its batches stand still, so that a page shows the same at every look."""
    with serving(folder, compute=Drawing()) as made:
        stores = made.stores
        add_subjects(stores, [f"user-{n:04x}" for n in range(60)])
        for n in range(60, 64):
            add_subject(stores, f"user-{n:04x}", quality=25.0)
        for _ in range(2):
            run(stores, ask(stores, subject="user-8c41"))
        for n in range(3):
            ask(stores, subject=f"waiting-{n}", batch=True)
        compute = NoOpCompute()
        poor = Selection(quality_below=30.0)
        done, _ = submit_batch(poor, CARRIED, priority=5, actor="ops", on=stores)
        work(stores, compute)
        activate_batch(done.batch_id, actor="ops", on=stores)
        work(stores, compute)
        submit_batch(Selection(everybody=True), CARRIED, priority=5, actor="ops", on=stores)
        work(stores, compute, turns=4)
        for n, megabytes in ((1, 612), (2, 598)):
            report = WorkerReport(f"worker-{n}", "batches", utc_now(), MODELS, resident_bytes=megabytes << 20)
            report_worker(report, on=stores)
        report_worker(
            replace(report, worker_id="worker-3", models=None, problem="weights-missing"), on=stores
        )
        yield made
