"""How many items per second a batch's bookkeeping allows, on PostgreSQL, with a backend that computes
nothing.

    python benchmarks/batches.py                       20,000 subjects, one runner process, then two
    python benchmarks/batches.py --subjects 100000 --runners 2

Every item is what it is in production but for the computing: taken under a claim, its template in force
decrypted and read (60 modes), a candidate written, encrypted and stored, the end of the item in the same
transaction. The database is a PostgreSQL of its own on this machine as the tests have it (fsync off, 32 MB of
buffers), or RECON_DATABASE_URL. Milliseconds are of processor time
per item; run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recon_service.application.ports.compute import Progress
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import BatchState, BatchTarget, Material, Selection
from recon_service.application.records.models import ModelsInForce
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.application.reenrolling.batch_runs import RunnerPolicy, work_on_batches
from recon_service.application.reenrolling.batches import (
    activate_batch,
    look_at_batch,
    roll_back_batch,
    submit_batch,
)
from recon_service.bootstrap import open_stores
from recon_service.domain.template import Template
from recon_service.settings import Settings
from tests.servers.postgres import Postgres
from tests.templates import seed_subjects

MODES = 60
SPACE = "ict-facekit-light/60"
MODELS = ModelsInForce("model-2", "0" * 64, SPACE, MODES, "table-2@0123", "facemesh468", "")
MASTER_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class NoOp:
    """Puts other names on every template."""

    def models(self) -> ModelsInForce:
        return MODELS

    def under(self, model: str) -> NoOp:
        return self

    def reconstruct(self, selfies: Sequence[bytes], progress: Progress, *, backend: str) -> EnrollmentOutcome:
        raise NotImplementedError

    def refit(self, content: bytes, *, backend: str) -> EnrollmentOutcome:
        raise NotImplementedError

    def carry_over(self, templates: Sequence[Template]) -> tuple[Template | str, ...]:
        return tuple(replace(one, model="model-2", calibration="table-2@0123") for one in templates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--runners", type=int, nargs="*", default=[1, 2], help="processes, one row each")
    parser.add_argument("--group", type=int, default=64, help="items under one claim")
    wanted = parser.parse_args()
    with a_database() as url, tempfile.TemporaryDirectory() as folder:
        settings = settings_for(url, folder)
        opened = open_stores(settings)
        begun = time.perf_counter()
        names = [f"subject-{number:07}" for number in range(wanted.subjects)]
        seed_subjects(opened.stores, names, space=SPACE, modes=MODES, model="model-1", calibration="table-1")
        spent = time.perf_counter() - begun
        Console(stderr=True).print(f"{wanted.subjects} subjects made in {spent:.1f} s")
        table = Table(title=f"{wanted.subjects} items, {wanted.group} per claim, {os.cpu_count()} cores")
        for column in (
            "runners",
            "items/s",
            "activations/s",
            "rollbacks/s",
            "runner ms",
            "database ms",
            "tally ms",
            "MB",
        ):
            table.add_column(column, justify="right")
        for runners in wanted.runners:
            row = measured(opened.stores, url, folder, wanted.subjects, runners, wanted.group)
            table.add_row(str(runners), *row)
        opened.close()
    Console().print(table)


def measured(
    stores: Stores, url: str, folder: str, subjects: int, runners: int, group: int
) -> tuple[str, ...]:
    """One row: a whole life of a batch."""
    stop = multiprocessing.get_context("spawn").Event()
    processes = [
        multiprocessing.get_context("spawn").Process(target=run, args=(url, folder, group, stop))
        for _ in range(runners)
    ]
    for process in processes:
        process.start()
    time.sleep(3)  # until they look for work
    target = BatchTarget(materials=(Material.POSTERIOR,))
    begun = time.perf_counter()
    batch, _ = submit_batch(Selection(everybody=True), target, priority=5, actor="bench", on=stores)
    before = spent_by(processes)
    rates = [subjects / wait_for(stores, batch.batch_id, BatchState.READY, begun)]
    spent = [1000 * (b - a) / subjects for a, b in zip(before, spent_by(processes), strict=True)]
    resident = max(psutil.Process(p.pid).memory_info().rss for p in processes if p.pid) / 1e6
    for change, end in ((activate_batch, BatchState.ACTIVE), (roll_back_batch, BatchState.ROLLED_BACK)):
        begun = time.perf_counter()
        change(batch.batch_id, actor="bench", on=stores)
        rates.append(subjects / wait_for(stores, batch.batch_id, end, begun))
    begun = time.perf_counter()
    assert look_at_batch(batch.batch_id, on=stores).tally.listed == subjects
    tally = time.perf_counter() - begun
    stop.set()
    for process in processes:
        process.join()
    return (
        *(f"{rate:.0f}" for rate in rates),
        *(f"{ms:.2f}" for ms in spent),
        f"{1000 * tally:.0f}",
        f"{resident:.0f}",
    )


def spent_by(runners: Sequence[multiprocessing.process.BaseProcess]) -> tuple[float, float]:
    """Seconds of processor time: of the runners, and of the database's processes below this one."""
    ours = {p.pid for p in runners}
    seconds = {True: 0.0, False: 0.0}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.pid in ours or "postgres" in process.name():
                times = process.cpu_times()
                seconds[process.pid in ours] += times.user + times.system
    return seconds[True], seconds[False]


def wait_for(stores: Stores, batch_id: str, state: BatchState, begun: float) -> float:
    """Seconds until the batch is in that state."""
    while True:
        with stores.database.snapshot() as tx:
            batch = tx.batches.get(batch_id)
        if batch is not None and batch.state is state:
            return time.perf_counter() - begun
        time.sleep(0.05)


def run(url: str, folder: str, group: int, stop: object) -> None:
    """One runner process."""
    opened = open_stores(settings_for(url, folder))
    policy = RunnerPolicy(group=group)
    while not stop.is_set():  # type: ignore[attr-defined]
        if not work_on_batches(on=opened.stores, compute=NoOp(), models=MODELS, policy=policy):
            time.sleep(0.02)
    opened.close()


def settings_for(url: str, folder: str) -> Settings:
    """Of the service that this database belongs to."""
    values = {"database_url": url, "state_dir": folder, "master_key": MASTER_KEY}
    return Settings.model_validate(values)


@contextlib.contextmanager
def a_database() -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    if url := os.environ.pop("RECON_DATABASE_URL", ""):
        yield url
        return
    server = Postgres().start()
    try:
        yield server.url(server.make_database())
    finally:
        server.close()


if __name__ == "__main__":
    main()
