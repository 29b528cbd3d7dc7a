"""One clock for all processes on a database, whatever their own clocks show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from recon_service.application.housekeeping import Retention, sweep
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.operations import Lane, OperationState
from recon_service.bootstrap import open_stores
from recon_service.storage.database import SqlDatabase
from recon_service.storage.database_clock import RENEWED_S, DatabaseClock
from recon_service.storage.engines import open_engine
from tests.servers.postgres import Postgres
from tests.stacks import Stack, settings_for
from tests.unit.application.enrollments_support import POLICY, ask
from tests.unit.application.stores import ListQueue

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
APART = timedelta(minutes=20)


@dataclass
class Answers:
    """A connection to a database whose clock shows ``shows``, and that takes ``takes`` seconds to say so."""

    shows: datetime = NOON
    takes: float = 0.0
    counted: float = 1000.0
    asked: int = 0
    dialect: object = field(default_factory=lambda: sa.create_engine("postgresql+psycopg://").dialect)

    def scalar(self, _statement: object) -> datetime:
        self.asked += 1
        self.counted += self.takes
        return self.shows - timedelta(seconds=self.takes / 2)

    def wait(self, seconds: float) -> None:
        self.counted += seconds
        self.shows += timedelta(seconds=seconds)


def clock_of(answers: Answers) -> DatabaseClock:
    return DatabaseClock(lambda: NOON - APART, counting=lambda: answers.counted)


def test_it_is_carried_on_between_two_answers_and_asked_now_and_then() -> None:
    answers = Answers()
    clock = clock_of(answers)
    assert clock() == NOON - APART, "its own, before it was asked"
    clock.renew(answers)  # type: ignore[arg-type]
    assert clock() == NOON
    answers.wait(RENEWED_S / 2)
    clock.renew(answers)  # type: ignore[arg-type]
    assert (clock(), answers.asked) == (NOON + timedelta(seconds=RENEWED_S / 2), 1)
    answers.wait(RENEWED_S)
    answers.shows += APART  # somebody sets the clock of the server
    clock.renew(answers)  # type: ignore[arg-type]
    assert (clock(), answers.asked) == (answers.shows, 2)


def test_a_slow_answer_does_not_put_it_back() -> None:
    answers = Answers()
    clock = clock_of(answers)
    clock.renew(answers)  # type: ignore[arg-type]
    answers.wait(RENEWED_S)
    answers.takes = 3.0
    before = clock()
    clock.renew(answers)  # type: ignore[arg-type]
    assert clock() == before + timedelta(seconds=3.0)


@contextmanager
def machine(url: str, of: Stores, ahead: timedelta) -> Iterator[Stores]:
    """A process on another machine, whose clock is ahead by so much."""
    engine = open_engine(url)
    database = SqlDatabase(engine, own_clock=lambda: utc_now() + ahead)
    yield replace(of, database=database, clock=database.clock)
    engine.dispose()


@pytest.mark.parametrize("ahead", [APART, -APART], ids=["ahead", "behind"])
def test_machines_whose_clocks_are_apart_leave_each_other_their_work(
    tmp_path: Path, stack: Stack, ahead: timedelta
) -> None:
    settings = settings_for(stack, tmp_path)
    if not settings.resolved_database_url.startswith("postgres"):
        pytest.skip("processes on SQLite share a machine and its clock")
    opened = open_stores(settings)
    ours = opened.stores
    with machine(settings.resolved_database_url, ours, ahead) as others:
        operation_id = ask(others)
        with others.database.transaction() as tx:
            claim = tx.operations.claim(
                operation_id, token="t", now=others.clock(), stale_before=others.clock() - POLICY.silence
            )
        assert claim is not None
        sweep(ListQueue(), on=ours, policy=POLICY, retention=Retention())
        with ours.database.transaction() as tx:
            assert not tx.operations.claim(
                operation_id, token="u", now=ours.clock(), stale_before=ours.clock() - POLICY.silence
            )
            assert tx.operations.holds(claim)
        with others.database.transaction() as tx:
            tx.operations.requeue(claim, now=others.clock())
        with ours.database.snapshot() as tx:
            operation = tx.operations.get(operation_id)
            assert operation is not None
            assert operation.state is OperationState.QUEUED
            assert tx.operations.unpublished(now=ours.clock(), limit=9, lock=False), "due at once here too"
            assert tx.operations.queue_state(Lane.INTERACTIVE, now=ours.clock()).waiting == 1
        assert abs(others.clock() - ours.clock()) < timedelta(seconds=30)
    opened.close()


def test_asking_uses_up_no_connection(postgres: Postgres) -> None:
    with postgres.database() as url:
        engine = sa.create_engine(
            sa.make_url(url).set(drivername="postgresql+psycopg"), pool_size=1, max_overflow=0, pool_timeout=1
        )
        database = SqlDatabase(engine, own_clock=lambda: NOON)
        with database.transaction():
            assert database.clock() > NOON
        engine.dispose()
