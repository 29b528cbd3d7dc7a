"""What the chaos runs share: a service with all that stands behind it, their options, and how they end."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos.faults import Production, stopping_cleanly
from tests.integration.running import Server
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.servers.redis_server import Redis
from tests.servers.s3_server import ACCESS_KEY, S3, SECRET_KEY
from tests.stacks import MASTER_KEY, STACKS

QUICK = {
    # A dead worker is noticed in seconds, so that the test ends today; the logic is that of the long times.
    "RECON_JOB_SILENCE_SECONDS": "6",
    "RECON_SWEEP_SECONDS": "1",
    "RECON_STALE_UPLOAD_SECONDS": "15",
    "RECON_QUEUE_BUDGET_SECONDS": "120",
    "RECON_LOG_LEVEL": "warning",
    "RECON_COMPUTE_PROCESSES": "1",
}
SEED = 20261121
DISK_MB = 40
"""Of the object store: a few hundred selfies, or quickly full."""


@dataclass(frozen=True)
class Stage:
    """A service, not started yet, and what it stands on; None: embedded."""

    server: Server
    behind: Production | None


class Outcome(Protocol):
    """The report of a run."""

    @property
    def good(self) -> bool: ...

    def as_json(self) -> dict[str, object]: ...


@contextlib.contextmanager
def stage(stack: str, folder: Path, settings: dict[str, str], *, hard: bool = False) -> Iterator[Stage]:
    """embedded: one process, SQLite, a folder of objects. production: an API process, two workers,
    PostgreSQL, Redis and S3. hard: there the disk of the objects is small, and every clock can be moved
    (Linux).
    """
    if stack == "embedded":
        server = Server(folder / "state", settings=settings)
        with stopping_cleanly(lambda: server.stop()):
            yield Stage(server, None)
        return
    hard = hard and sys.platform == "linux"
    postgres, redis = Postgres().start(), Redis().start()
    s3 = S3(disk_mb=DISK_MB if hard else None).start()
    proxy = Proxy(s3.port).start()
    clock = folder / "clock"
    clock.write_text("0")
    settings = {
        "RECON_DATABASE_URL": postgres.url(postgres.make_database()),
        "RECON_OBJECT_STORE": f"s3://{s3.make_bucket()}/recon",
        "RECON_S3_ENDPOINT": f"http://127.0.0.1:{proxy.port}",
        "RECON_S3_ACCESS_KEY": ACCESS_KEY,
        "RECON_S3_SECRET_KEY": SECRET_KEY,
        "RECON_BROKER_URL": redis.url(),
        "RECON_MASTER_KEY": MASTER_KEY,
        "RECON_ENROLLMENT_PROCESSES": "1",
        **({"PYTHONPATH": str(Path(__file__).parent / "clock"), "CHAOS_CLOCK": str(clock)} if hard else {}),
        **settings,
    }
    server = Server(folder / "state", settings=settings, workers=2)
    with stopping_cleanly(lambda: server.stop(), proxy.close, postgres.close, redis.close, s3.close):
        small = (s3, s3.make_bucket(), clock) if hard else (None, "", None)
        yield Stage(server, Production(postgres, redis, proxy, *small))


def options(program: str, *, kills: int, kills_help: str) -> argparse.ArgumentParser:
    """Those that every run has."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--stack", choices=STACKS, default="production")
    parser.add_argument("--kills", type=int, default=kills, help=kills_help)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two faults, on average")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds until it gives up")
    return parser


def run_and_tell(name: str, run: Callable[[Path], Outcome], enough: Callable[[Outcome], bool]) -> int:
    """The exit status. The log of a run that broke a promise is kept."""
    folder = Path(tempfile.mkdtemp(prefix=f"recon-{name}-"))
    report = run(folder)
    if report.good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"the log is in {folder}", file=sys.stderr)
    if not enough(report):
        print("the time was over before there was enough of everything", file=sys.stderr)
    print(json.dumps(report.as_json()))
    return 0 if report.good and enough(report) else 1


def progress_bars() -> Progress:
    """On standard error: the last line of the standard output is the report."""
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))
