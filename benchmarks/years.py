"""What the service's own work costs when its database holds years: fills one, and measures.

    python benchmarks/years.py                       300,000 subjects in a PostgreSQL of its own
    python benchmarks/years.py --sqlite --scale 0.1  a tenth of that, in SQLite
    python benchmarks/years.py --only sweep --only audit --json years.json

A line is one thing that the service, an operator or somebody's browser does: how long it took, how many
statements it sent, the slowest of them, and the longest transaction. What nobody may notice is a small number
in the last two columns, whatever is in the first. Rows are real, what is sealed in them is not: nothing here
opens a template.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loading.years_rows import Rows, Years, person

from recon_service.application.enrolling.consents import ConsentPolicy, sweep_consents
from recon_service.application.enrolling.enrollment_runs import JobPolicy
from recon_service.application.enrolling.operations import get_operation, list_dead, queue_states
from recon_service.application.housekeeping import Retention, sweep
from recon_service.application.keeping.audit import subject_digest
from recon_service.application.keeping.audit_ends import check_audit
from recon_service.application.keeping.key_rotation import rotate_master_key
from recon_service.application.keeping.steady_clock import ClockWatch
from recon_service.application.notifying.deliveries import forget_deliveries
from recon_service.application.notifying.webhooks import WebhookPolicy
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import BatchTarget, Selection
from recon_service.application.reenrolling import batches as steering
from recon_service.application.reenrolling.batch_runs import (
    RunnerPolicy,
    close_cancelled,
    destroy_old_candidates,
    work_on_batches,
)
from recon_service.application.reenrolling.models import overview_of_models
from recon_service.application.templates.subjects import delete_subject, list_templates
from recon_service.bootstrap import open_stores
from recon_service.settings import Settings
from recon_service.storage.database import SqlDatabase
from recon_service.storage.schema import HEAD, alembic_config
from recon_service.storage.vault import MasterKey, SubjectVault
from recon_service.telemetry.standing import Standing
from tests.unit.application.stores import ListQueue

KEY = bytes(range(32))
DAY = timedelta(days=1)
PAGES = 200
"""Of a switch; each exchanges 128 templates."""


@dataclass(slots=True)
class Watched:
    """Statements of an engine, in seconds."""

    statements: int = 0
    slowest: float = 0.0
    text: str = ""
    longest: float = 0.0  # transaction
    since: float = 0.0
    _begun: dict[int, float] = field(default_factory=dict)
    _sent: dict[int, float] = field(default_factory=dict)

    def listen(self, engine: sa.Engine) -> None:
        """From now on."""
        sa.event.listen(engine, "begin", lambda c: self._begun.__setitem__(id(c), time.perf_counter()))
        sa.event.listen(engine, "commit", self._ended)
        sa.event.listen(engine, "rollback", self._ended)
        sa.event.listen(engine, "before_cursor_execute", self._before)
        sa.event.listen(engine, "after_cursor_execute", self._after)

    def _ended(self, connection: Any) -> None:
        begun = self._begun.pop(id(connection), None)
        if begun is not None:
            self.longest = max(self.longest, time.perf_counter() - begun)

    def _before(self, connection: Any, *_: Any) -> None:
        self._sent[id(connection)] = time.perf_counter()

    def _after(self, connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.statements += 1
        took = time.perf_counter() - self._sent[id(connection)]
        if took > self.slowest:
            self.slowest, self.text = took, statement

    def reset(self) -> None:
        """Begin anew: what was done to prepare does not count."""
        self.since = time.perf_counter()
        self.statements, self.slowest, self.text, self.longest = 0, 0.0, "", 0.0


class Work:
    """The things that are done, by name, those that change much last."""

    def __init__(self, database: SqlDatabase, stores: Stores, years: Years) -> None:
        self._engine, self._stores, self._years = database.engine, stores, years
        self._queue = ListQueue()
        with self._engine.connect() as connection:
            self._operation = connection.scalar(sa.text("SELECT operation_id FROM operations LIMIT 1"))

    def all(self) -> dict[str, Callable[[], object]]:
        """In order."""
        on = self._stores
        return {
            "operation: get": lambda: get_operation(self._operation, on=on),
            "metrics: a scrape": lambda: Standing(on)._look(),
            "console: a subject": self._subject,
            "console: overview": self._overview,
            "audit: a page of one action": lambda: self._page(action="subject.deleted"),
            "audit: a page of one subject": lambda: self._page(subject=subject_digest(person(1), on=on)),
            "batch: preview of everybody": lambda: steering.preview_batch(
                Selection(everybody=True), BatchTarget(), on=on
            ),
            "batch: look at one": lambda: steering.look_at_batch("bat_5", on=on),
            "sweep: the first of years": self._sweep,
            "sweep: nothing to do": self._sweep,
            "webhooks: forget": lambda: forget_deliveries(on=on, policy=WebhookPolicy()),
            "candidates: look for old ones": lambda: destroy_old_candidates(on=on, older_than=DAY),
            "subject: delete": lambda: delete_subject(person(9), actor="ops", on=on),
            "consents: 200 of 10,000 end": self._consents,
            "batch: cancel": self._cancel,
            "batch: the sweeper ends the rest": lambda: close_cancelled(on=on, policy=RunnerPolicy()),
            "batch: activate 25,600": lambda: self._switch("bat_5", steering.activate_batch),
            "batch: roll back 25,600": lambda: self._switch("bat_5", steering.roll_back_batch),
            "batch: begin to activate again": lambda: steering.activate_batch("bat_3", actor="ops", on=on),
            "audit: verify": self._verify,
            "keys: rotate the master key": self._rotate,
            "migration: the newest, down": lambda: self._migrate(down=True),
            "migration: the newest, up": lambda: self._migrate(down=False),
        }

    def _subject(self) -> None:
        list_templates(person(7), on=self._stores)
        with self._stores.database.snapshot() as tx:
            tx.operations.of_subject(person(7), limit=50)
            tx.audit.newest(subject_digest(person(1), on=self._stores), limit=200)

    def _overview(self) -> None:
        queue_states(on=self._stores)
        list_dead(on=self._stores)
        overview_of_models(on=self._stores)
        with self._stores.database.snapshot() as tx:
            tx.operations.outcomes(since=self._stores.clock() - DAY)
            tx.audit.outcomes("verification", within=20_000)

    def _page(self, **chosen: str) -> None:
        with self._stores.database.snapshot() as tx:
            for number, _ in enumerate(tx.audit.entries(**chosen)):
                if number == 99:
                    break

    def _sweep(self) -> None:
        sweep(self._queue, on=self._stores, policy=JobPolicy(), retention=Retention())

    def _consents(self) -> None:
        with self._engine.begin() as connection:
            chosen = "SELECT consent_row FROM consents WHERE swept = {} ORDER BY consent_row LIMIT 10000"
            no = "false" if self._engine.dialect.name == "postgresql" else "0"
            connection.exec_driver_sql(
                f"UPDATE consents SET expires_at = given_at WHERE consent_row IN ({chosen.format(no)})"
            )
        WATCHED.reset()
        watch = ClockWatch(timedelta(0), timedelta(0))
        policy = ConsentPolicy(hold=timedelta(0))
        sweep_consents(policy=policy, watch=watch, monotonic_s=time.monotonic(), on=self._stores)

    def _cancel(self) -> None:
        with self._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE batches SET state = 'running' WHERE batch_id = 'bat_4'")
        for start in range(16):  # not by one statement, which would be what is measured
            with self._engine.begin() as connection:
                which = f"subject_id BETWEEN 'person-{start:x}' AND 'person-{start:x}g'"
                connection.exec_driver_sql(
                    f"UPDATE batch_items SET state = 'waiting' WHERE batch_id = 'bat_4' AND {which}"
                )
        WATCHED.reset()
        steering.cancel_batch("bat_4", actor="ops", on=self._stores)

    def _switch(self, batch_id: str, begin: Callable[..., object]) -> None:
        begin(batch_id, actor="ops", on=self._stores)
        nobody: Any = None  # a switch computes nothing
        for _ in range(PAGES):
            work_on_batches(on=self._stores, compute=nobody, models=nobody, policy=RunnerPolicy())

    def _verify(self) -> None:
        assert check_audit(on=self._stores).broken is None

    def _rotate(self) -> None:
        vault = SubjectVault(MasterKey(KEY[::-1]), accepted=[MasterKey(KEY)])
        with self._stores.database.snapshot() as tx:
            root = tx.wrapped_keys.service_key("digest-root")
        assert root is not None
        on = replace(self._stores, vault=vault.with_digest_root(root))
        assert rotate_master_key(on=on, actor="ops", batch=1000).done

    def _migrate(self, *, down: bool) -> None:
        from alembic import command

        (command.downgrade if down else command.upgrade)(
            alembic_config(self._engine), f"{int(HEAD) - 1:04}" if down else "head"
        )


WATCHED = Watched()


@contextmanager
def database_url(arguments: argparse.Namespace, folder: Path) -> Iterator[str]:
    if arguments.sqlite:
        yield f"sqlite:///{folder / 'years.sqlite3'}"
        return
    from tests.servers.postgres import Postgres

    with closing(Postgres().start()) as server, server.database() as url:
        yield url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0, help="1: 300,000 subjects")
    parser.add_argument("--only", action="append", default=[], help="lines whose name begins so")
    parser.add_argument("--slowest", action="store_true", help="print the slowest statement of each")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    console, years = Console(), Years().scaled(arguments.scale)
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recon-years-")))
        url = stack.enter_context(database_url(arguments, folder))
        settings = Settings(database_url=url, state_dir=folder, master_key=base64.b64encode(KEY).decode())
        opened = open_stores(settings)
        stack.callback(opened.close)
        bar = stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
        task = bar.add_task("", total=None)

        def say(table: str, count: int) -> None:
            bar.update(task, description=f"{table} ({count:,})", advance=1)

        Rows(opened.database.engine, opened.stores, years, say).fill()
        WATCHED.listen(opened.database.engine)
        everything = Work(opened.database, opened.stores, years).all()
        names = [name for name in everything if not arguments.only or name.startswith(tuple(arguments.only))]
        bar.reset(task, total=len(names))
        console.print(f"{'SQLite' if arguments.sqlite else 'PostgreSQL'}, {asdict(years)}", highlight=False)
        header = ("seconds", "statements", "slowest, ms", "transaction, ms", "memory, MB")
        console.print(f"{'':<34}" + "".join(f"{name:>17}" for name in header))
        lines = []
        for name in names:
            bar.update(task, description=name)
            lines.append(measured(name, everything[name]))
            bar.advance(task)
            shown(lines[-1], console, slowest=arguments.slowest)
            if arguments.json:
                arguments.json.write_text(json.dumps({"years": asdict(years), "lines": lines}, indent=1))


def measured(name: str, do: Callable[[], object]) -> dict[str, Any]:
    process = psutil.Process(os.getpid())
    before = process.memory_info().rss
    WATCHED.reset()
    do()
    took, grown = time.perf_counter() - WATCHED.since, process.memory_info().rss - before
    line = {"what": name, "seconds": took, "statements": WATCHED.statements, "grown_bytes": grown}
    return line | {"slowest_s": WATCHED.slowest, "transaction_s": WATCHED.longest, "text": WATCHED.text}


def shown(line: dict[str, Any], console: Console, *, slowest: bool) -> None:
    milliseconds = (1000 * line["slowest_s"], 1000 * line["transaction_s"])
    figures = [f"{line['seconds']:.3f}", str(line["statements"])]
    figures += [f"{one:.1f}" for one in (*milliseconds, line["grown_bytes"] / 1e6)]
    console.print(f"{line['what']:<34}" + "".join(f"{one:>17}" for one in figures), highlight=False)
    if slowest:
        console.print(f"    {' '.join(line['text'].split())[:150]}", highlight=False, markup=False)


if __name__ == "__main__":
    main()
