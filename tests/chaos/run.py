"""`make chaos`: enroll while everything that can go wrong does, then see whether every promise was kept.

The last line on the standard output is one line of JSON; the exit status is 0 when nothing was lost, doubled
or left behind, and there was enough of everything.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from pathlib import Path

from recon_service.bootstrap import open_stores
from recon_service.storage.engines import open_engine
from tests.chaos.audit import audit
from tests.chaos.faults import Faults
from tests.chaos.ledger import Ledger, Report, keep_enrolling, keep_watching, wait_until_quiet
from tests.chaos.stage import QUICK, Stage, options, progress_bars, run_and_tell, stage
from tests.integration.running import portrait_jpeg

CLIENTS = 2
QUIET_LIMIT_S = 120.0
"""In which nothing is brought to its end: some times longer than the longest silence, wait and sweep."""


def main() -> int:
    """Run it."""
    parser = options("make chaos", kills=100, kills_help="kill -9, at least")
    parser.add_argument("--enrollments", type=int, default=200, help="acknowledged, at least")
    wanted = parser.parse_args()

    def run(folder: Path) -> Report:
        with stage(wanted.stack, folder, QUICK, hard=True) as ready:
            return rage(ready, wanted)
        raise AssertionError("unreachable")

    def enough(report: object) -> bool:
        assert isinstance(report, Report)
        return report.acknowledged >= wanted.enrollments and report.kills >= wanted.kills

    return run_and_tell("chaos", run, enough)


def rage(ready: Stage, wanted: argparse.Namespace) -> Report:
    """Clients enroll, delete and look, faults happen, until there was enough of both; then calm, and the
    audit.
    """
    begun, server = time.monotonic(), ready.server
    server.start()
    pictures = [portrait_jpeg("grace_hopper")]
    ledger, stop = Ledger(), threading.Event()
    faults = Faults(server, ready.behind, random.Random(wanted.seed))
    threads = [
        threading.Thread(target=keep_enrolling, args=(server, f"client{n}", pictures, stop, ledger))
        for n in range(CLIENTS)
    ]
    threads.append(threading.Thread(target=keep_watching, args=(server, stop, ledger, wanted.seed)))
    with progress_bars() as progress:
        enrolled = progress.add_task("acknowledged", total=wanted.enrollments)
        killed = progress.add_task("kill -9", total=wanted.kills)
        for thread in threads:
            thread.start()
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
            for thread in threads:
                thread.join()
        engine = open_engine(server.resolved().resolved_database_url)
        open_ones = progress.add_task("still open", total=None)
        quiet = wait_until_quiet(
            engine, limit_s=QUIET_LIMIT_S, tell=lambda n: progress.update(open_ones, completed=n)
        )
    opened = open_stores(server.resolved())
    found = audit(ledger, engine, opened.stores)
    opened.close()
    engine.dispose()
    print(dict(sorted(faults.counts.items())), file=sys.stderr)
    return Report(
        acknowledged=len(ledger.acknowledged),
        lost=found.lost,
        twice=found.twice,
        orphans=found.orphans,
        kills=faults.kills,
        other_faults=faults.other,
        deleted=len(ledger.deleted),
        back=found.back,
        changed=ledger.changed + found.changed,
        unreadable=found.unreadable,
        log_intact=found.log_intact,
        quiet=quiet,
        ends=dict(sorted(found.states.items())),
        attempts=dict(sorted(found.attempts.items())),
        seconds=round(time.monotonic() - begun),
        stack=wanted.stack,
        seed=wanted.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
