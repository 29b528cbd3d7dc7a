"""`recon batch` and `recon models` against a service over HTTP and a real runner."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recon_service.application.ports.stores import utc_now
from recon_service.application.records.models import WorkerReport
from recon_service.application.reenrolling.models import report_worker
from recon_service.application.templates.subjects import load_template
from tests.unit.application.batches_support import MODELS, NoOpCompute, add_subject, add_subjects, work
from tests.unit.cli.serving import Serving, serving


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path / "state") as made:
        add_subjects(made.stores, [f"s{n}" for n in range(12)])
        report_worker(WorkerReport("worker-1", "batches", utc_now(), MODELS), on=made.stores)
        yield made


@contextmanager
def runner(service: Serving, compute: NoOpCompute | None = None) -> Iterator[None]:
    stopping = threading.Event()

    def turn() -> None:
        while not stopping.wait(0.05):
            work(service.stores, compute)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def submitted(service: Serving, *more: str) -> str:
    code, out = service.recon("batch", "submit", "--all", "--using", "posterior", *more)
    assert code == 0
    return out.split()[0]


def test_from_dry_run_to_rollback(service: Serving) -> None:
    code, out = service.recon("batch", "submit", "--all", "--using", "posterior", "--dry-run", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["preview"]["selected"], found["batch"]) == (12, None)
    before = load_template("s3", None, on=service.stores)
    batch = submitted(service)
    with runner(service):
        code, out = service.recon("batch", "watch", batch, "--json")
        assert code == 0
        last = json.loads(out.splitlines()[-1])
        assert (last["state"], last["done"]) == ("ready", 12)
        assert service.recon("batch", "activate", batch, "--watch", "--json")[0] == 0
        assert load_template("s3", None, on=service.stores).model == "model-2"
        assert service.recon("batch", "rollback", batch, "--watch", "--json")[0] == 0
    again = load_template("s3", None, on=service.stores)
    assert (again.template_id, again.model) == (before.template_id, before.model)
    assert "rolled-back" in service.recon("batch", "show", batch)[1]
    (listed,) = json.loads(service.recon("batch", "list", "--json")[1])["batches"]
    assert listed["batch_id"] == batch


def test_what_did_not_succeed_shows_in_exit_code_and_items(service: Serving) -> None:
    def fault(template: object) -> Exception | None:
        return RuntimeError("no") if template.subject_id == "s5" else None

    batch = submitted(service)
    with runner(service, NoOpCompute(fault=fault)):
        assert service.recon("batch", "watch", batch, "--json")[0] == 1
    code, out = service.recon("batch", "items", batch, "--state", "failed")
    assert code == 0
    failed = [line.split("\t")[0] for line in out.splitlines()]
    assert "s5" in failed
    code, out = service.recon("batch", "items", batch, "--json")
    assert len([json.loads(line) for line in out.splitlines()]) == 12
    assert service.recon("batch", "retry", batch)[1] == f"{len(failed)} items wait again\n"
    with runner(service):
        assert service.recon("batch", "watch", batch, "--json")[0] == 0


def test_paused_and_cancelled(service: Serving) -> None:
    batch = submitted(service)
    assert service.recon("batch", "pause", batch)[0] == 0
    assert service.recon("batch", "watch", batch, "--json")[0] == 4
    assert service.recon("batch", "resume", batch)[0] == 0
    assert service.recon("batch", "cancel", batch)[0] == 0
    assert service.recon("batch", "resume", batch)[0] == 2, "that cannot be taken back"
    assert service.recon("batch", "show", "batch_unknown")[0] == 2


def test_whom_a_selection_finds(service: Serving, tmp_path: Path) -> None:
    add_subject(service.stores, "old", model="model-0", age_days=400.0, quality=20.0)
    names = tmp_path / "names"
    names.write_text("s1\n\ns2\n")
    for condition, expected in (
        (["--model", "model-0"], 1),
        (["--older-than", "300"], 1),
        (["--quality-below", "50"], 1),
        (["--subject", "s1", "--subjects-from", str(names)], 2),
        (["--calibration", "table-1@9876"], 13),
    ):
        code, out = service.recon("batch", "submit", *condition, "--dry-run", "--json")
        assert code == 0, condition
        assert json.loads(out)["preview"]["selected"] == expected, condition
    assert service.recon("batch", "submit", "--dry-run")[0] == 2, "everybody is said outright"
    assert service.recon("batch", "submit", "--older-than", "-1", "--dry-run")[0] == 2


def test_models(service: Serving) -> None:
    found = json.loads(service.recon("models", "--json")[1])
    assert [(w["worker_id"], w["ready"]) for w in found["workers"]] == [("worker-1", True)]
    assert sum(row["templates"] for row in found["templates"]) == 12
    assert "worker-1" in service.recon("models")[1]
