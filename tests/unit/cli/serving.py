"""A service over HTTP in this process, with real stores; what computes is scripted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from typer.testing import CliRunner

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.keeping.keys import create_api_key
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import Scope
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.bootstrap import open_stores
from recon_service.cli.main import build_app
from recon_service.telemetry import configure_logging
from tests.servers.processes import free_port
from tests.stacks import Embedded, settings_for
from tests.unit.application.stores import OUTCOME, ListQueue, ScriptedCompute


@dataclass
class Serving:
    """url and key of a running service, and its stores."""

    url: str
    key: str
    stores: Stores

    def recon(self, *arguments: str) -> tuple[int, str]:
        """Run a command against it: exit code, standard output."""
        result = CliRunner().invoke(
            build_app(arguments),
            list(arguments),
            env={"RECON_URL": self.url, "RECON_API_KEY": self.key},
        )
        return result.exit_code, result.stdout


@contextmanager
def serving(
    folder: Path,
    *,
    script: Callable[[Sequence[bytes]], EnrollmentOutcome] = lambda _selfies: OUTCOME,
    scopes: Sequence[Scope] = (Scope.ENROLL, Scope.OPS),
    worker: bool = False,
    compute: ScriptedCompute | None = None,
    **settings: object,
) -> Iterator[Serving]:
    configure_logging(level="error", format="json")
    small = settings_for(Embedded(), folder, **settings)
    opened = open_stores(small)
    compute = compute or ScriptedCompute(script)
    service = Service(small, opened.stores, compute, ListQueue(), development_keys=True, checks={})
    server = uvicorn.Server(
        uvicorn.Config(create_app(service), port=free_port(), log_level="error", lifespan="off")
    )
    stopping = threading.Event()
    threads = [threading.Thread(target=server.run, daemon=True)]
    if worker:
        threads.append(threading.Thread(target=_work, args=(opened.stores, compute, stopping), daemon=True))
    for thread in threads:
        thread.start()
    while not server.started:
        time.sleep(0.01)
    token = create_api_key("test", scopes, on=opened.stores).token
    try:
        yield Serving(f"http://127.0.0.1:{server.config.port}", token, opened.stores)
    finally:
        server.should_exit = True
        stopping.set()
        for thread in threads:
            thread.join(10)
        opened.close()


def _work(stores: Stores, compute: ScriptedCompute, stopping: threading.Event) -> None:
    while not stopping.wait(0.02):
        with stores.database.snapshot() as tx:
            queued = tx.operations.queued()
        for operation_id in queued:
            run_enrollment(operation_id, on=stores, compute=compute, queue=ListQueue(), policy=JobPolicy())
