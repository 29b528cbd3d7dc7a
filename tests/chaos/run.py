"""`make chaos`: enroll while everything that can go wrong does, then see whether every promise was kept.

The last line on the standard output is one line of JSON; the exit status is 0 when nothing was lost, doubled
or left behind.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recon_service.bootstrap import open_objects
from recon_service.settings import Settings
from recon_service.storage.database import open_engine
from tests.chaos.faults import Faults, Production, stopping_cleanly
from tests.chaos.ledger import Ledger, Report, audit, keep_enrolling, wait_until_quiet
from tests.integration.running import Server, portrait_jpeg
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.servers.redis_server import Redis
from tests.servers.s3_server import ACCESS_KEY, S3, SECRET_KEY
from tests.stacks import MASTER_KEY

QUICK = {
    # A dead worker is noticed in seconds, so that the test ends today; the logic is that of the long times.
    "RECON_JOB_SILENCE_SECONDS": "6",
    "RECON_SWEEP_SECONDS": "1",
    "RECON_STALE_UPLOAD_SECONDS": "15",
    "RECON_QUEUE_BUDGET_SECONDS": "120",
    "RECON_LOG_LEVEL": "warning",
    "RECON_COMPUTE_PROCESSES": "1",
}
CLIENTS = 2
DISK_MB = 40
"""Of the object store: a few hundred selfies, or quickly full."""


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--stack", choices=("embedded", "production"), default="production")
    parser.add_argument("--enrollments", type=int, default=200, help="acknowledged, at least")
    parser.add_argument("--kills", type=int, default=100, help="kill -9, at least")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two faults, on average")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds until it gives up")
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="recon-chaos-"))
    run = run_embedded if wanted.stack == "embedded" else run_production
    report = run(folder, wanted)
    if report.good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"the log is in {folder}", file=sys.stderr)
    print(json.dumps(report.as_json()))
    return 0 if report.good and report.acknowledged >= wanted.enrollments else 1


def run_embedded(folder: Path, wanted: argparse.Namespace) -> Report:
    """One process, SQLite, a folder of objects."""
    server = Server(folder / "state", settings=QUICK)
    with stopping_cleanly(lambda: server.stop()):
        return rage(server, None, wanted)
    raise AssertionError("unreachable")


def run_production(folder: Path, wanted: argparse.Namespace) -> Report:
    """An API process, two workers, PostgreSQL, Redis and S3."""
    small = sys.platform == "linux"
    postgres, redis = Postgres().start(), Redis().start()
    s3 = S3(disk_mb=DISK_MB if small else None).start()
    clock = folder / "clock"
    clock.write_text("0")
    proxy = Proxy(s3.port).start()
    settings = {
        **QUICK,
        "RECON_DATABASE_URL": postgres.url(postgres.make_database()),
        "RECON_OBJECT_STORE": f"s3://{s3.make_bucket()}/recon",
        "RECON_S3_ENDPOINT": f"http://127.0.0.1:{proxy.port}",
        "RECON_S3_ACCESS_KEY": ACCESS_KEY,
        "RECON_S3_SECRET_KEY": SECRET_KEY,
        "RECON_BROKER_URL": redis.url(),
        "RECON_MASTER_KEY": MASTER_KEY,
        "RECON_ENROLLMENT_PROCESSES": "1",
        "PYTHONPATH": str(Path(__file__).parent / "clock"),
        "CHAOS_CLOCK": str(clock),
    }
    server = Server(folder / "state", settings=settings, workers=2)
    with stopping_cleanly(lambda: server.stop(), proxy.close, postgres.close, redis.close, s3.close):
        behind = Production(postgres, redis, proxy, s3 if small else None, s3.make_bucket(), clock)
        return rage(server, behind, wanted)
    raise AssertionError("unreachable")


def rage(server: Server, production: Production | None, wanted: argparse.Namespace) -> Report:
    """Clients enroll, faults happen, until there was enough of both; then calm, and the audit."""
    begun = time.monotonic()
    server.start()
    pictures = [portrait_jpeg("grace_hopper")]
    ledger, stop = Ledger(), threading.Event()
    faults = Faults(server, production, random.Random(wanted.seed))
    clients = [
        threading.Thread(target=keep_enrolling, args=(server, f"client{n}", pictures, stop, ledger))
        for n in range(CLIENTS)
    ]
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        enrolled = progress.add_task("acknowledged", total=wanted.enrollments)
        killed = progress.add_task("kill -9", total=wanted.kills)
        for client in clients:
            client.start()
        try:
            while time.monotonic() - begun < wanted.limit:
                time.sleep(faults.random.expovariate(1.0 / wanted.pause))
                faults.one()
                progress.update(enrolled, completed=min(len(ledger.acknowledged), wanted.enrollments))
                progress.update(killed, completed=min(faults.kills, wanted.kills))
                if faults.kills >= wanted.kills and len(ledger.acknowledged) >= wanted.enrollments:
                    break
        finally:
            stop.set()
            for client in clients:
                client.join()
        settings = Settings.model_validate(
            {
                k.removeprefix("RECON_").lower(): v
                for k, v in server.settings.items()
                if k.startswith("RECON_")
            }
            | {"state_dir": server.state}
        )
        engine = open_engine(settings.resolved_database_url)
        still_open = progress.add_task("still open", total=None)
        wait_until_quiet(
            engine, limit_s=300.0, tell=lambda n: progress.update(still_open, completed=n, total=None)
        )
    lost, twice, orphans, states, attempts = audit(ledger, engine, open_objects(settings))
    engine.dispose()
    print(dict(sorted(faults.counts.items())), file=sys.stderr)
    return Report(
        acknowledged=len(ledger.acknowledged),
        lost=lost,
        twice=twice,
        orphans=orphans,
        kills=faults.kills,
        other_faults=faults.other,
        ends=dict(sorted(states.items())),
        attempts=dict(sorted(attempts.items())),
        seconds=round(time.monotonic() - begun),
        stack=wanted.stack,
        seed=wanted.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
