"""What every database does with operations: claims, ends, the outbox, lanes, signs of life."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from recon_service.application.ports.database import Database
from recon_service.application.records.operations import Claim, Lane, OperationState, Problem
from recon_service.storage.database import SqlDatabase
from tests.contract.databases import LONG_AGO, NOW, claim, database, operation, with_subject

__all__ = ["database"]


def test_an_operation_is_claimed_by_one(database: Database) -> None:
    with_subject(database)
    claims: list[Claim | None] = []
    threads = [
        threading.Thread(target=lambda n=n: claims.append(claim(database, token=f"t{n}"))) for n in range(8)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sum(c is not None for c in claims) == 1


def test_a_silent_worker_loses_its_claim_and_can_write_nothing(database: Database) -> None:
    with_subject(database)
    old = claim(database, token="old")
    assert claim(database, token="new") is None
    new = claim(database, token="new", stale=NOW + timedelta(seconds=1))
    assert old is not None
    assert new is not None
    assert new.operation.attempts == 2
    with database.transaction() as tx:
        assert not tx.operations.holds(old)
        assert not tx.operations.report(old, stage="x", progress=0.9, now=NOW)
        tx.operations.finish(old, state=OperationState.FAILED, now=NOW)
        tx.operations.requeue(old, now=NOW)
        assert tx.operations.holds(new)


def test_an_end_is_final(database: Database) -> None:
    with_subject(database)
    held = claim(database)
    assert held is not None
    with database.transaction() as tx:
        tx.operations.finish(held, state=OperationState.REJECTED, now=NOW)
        tx.operations.requeue(held, now=NOW)
        assert tx.operations.requeue_running(now=NOW, stale_before=None) == 0
        assert tx.operations.queued() == []
    assert claim(database, stale=NOW + timedelta(days=9)) is None


def test_waiting_operations_come_oldest_first(database: Database) -> None:
    with_subject(database, operations=3)
    claim(database, "op_2")
    with database.transaction() as tx:
        assert tx.operations.queued() == ["op_1", "op_3"]
        assert tx.operations.requeue_running(now=NOW, stale_before=LONG_AGO) == 0
        assert tx.operations.requeue_running(now=NOW, stale_before=None) == 1
        assert tx.operations.queued() == ["op_1", "op_2", "op_3"]


def waiting(database: Database, now: datetime = NOW) -> list[tuple[str, Lane]]:
    with database.transaction() as tx:
        return tx.operations.unpublished(now=now + timedelta(minutes=1), limit=100)


def test_the_outbox_holds_what_the_broker_does_not_know(database: Database) -> None:
    with_subject(database, operations=3)
    assert [i for i, _ in waiting(database)] == ["op_1", "op_2", "op_3"]
    with database.transaction() as tx:
        assert tx.operations.unpublished(now=NOW - timedelta(days=1), limit=9) == [], "not due"
        assert len(tx.operations.unpublished(now=NOW + timedelta(minutes=1), limit=2)) == 2
        tx.operations.mark_published(["op_1", "op_2"], now=NOW)
        state = tx.operations.queue_state(Lane.INTERACTIVE, now=NOW + timedelta(minutes=1))
    assert waiting(database) == [("op_3", Lane.INTERACTIVE)]
    assert (state.waiting, state.running, state.unpublished) == (3, 0, 1)
    assert state.oldest == operation(1).created_at
    with database.transaction() as tx:
        assert tx.operations.unpublish(published_before=NOW, now=NOW) == 0
        assert tx.operations.unpublish(published_before=NOW + timedelta(seconds=1), now=NOW) == 2
        tx.operations.mark_published(["op_1"], now=NOW + timedelta(hours=1))
        assert tx.operations.unpublish(published_before=LONG_AGO, now=NOW) == 1, "the clock went back"
    assert len(waiting(database)) == 3


def test_two_relays_do_not_see_the_same_operations(database: SqlDatabase) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time: the second relay waits for the first")
    with_subject(database, operations=3)
    later = NOW + timedelta(minutes=1)
    with database.transaction() as first, database.transaction() as second:
        assert len(first.operations.unpublished(now=later, limit=2)) == 2
        assert [i for i, _ in second.operations.unpublished(now=later, limit=9)] == ["op_3"]
        assert second.operations.unpublished(now=later, limit=9, lock=False)


def test_lanes_are_counted_apart(database: Database) -> None:
    with_subject(database)
    with database.transaction() as tx:
        tx.operations.add(replace(operation(9), lane=Lane.BATCH), [])
        assert tx.operations.queue_state(Lane.BATCH, now=NOW).waiting == 1
        assert tx.operations.oldest_queued(Lane.BATCH) == operation(9).created_at
        stored = tx.operations.get("op_9")
    assert stored is not None
    assert stored.lane is Lane.BATCH


def test_an_attempt_may_be_put_off_and_not_counted(database: Database) -> None:
    with_subject(database)
    held = claim(database)
    assert held is not None
    with database.transaction() as tx:
        tx.operations.requeue(held, now=NOW, due=NOW + timedelta(hours=1), refund=True)
        assert tx.operations.unpublished(now=NOW, limit=9) == []
        assert tx.operations.unpublished(now=NOW + timedelta(hours=1), limit=9) != []
        for moment, missing in ((NOW, 0), (NOW + timedelta(hours=1), 1)):
            state = tx.operations.queue_state(Lane.INTERACTIVE, now=moment)
            assert (state.waiting, state.unpublished) == (1, missing), "not before it is due"
    again = claim(database)
    assert again is not None
    assert again.operation.attempts == 1


def test_signs_of_life_keep_a_claim_and_are_no_news(database: Database) -> None:
    with_subject(database)
    held = claim(database)
    assert held is not None
    later = NOW + timedelta(minutes=5)
    with database.transaction() as tx:
        assert tx.operations.beat(held, now=later)
        assert tx.operations.requeue_running(now=later, stale_before=later - timedelta(minutes=1)) == 0
        stored = tx.operations.get("op_1")
        assert stored is not None
        assert stored.version == held.operation.version
        tx.operations.finish(held, state=OperationState.REJECTED, now=later)
        assert not tx.operations.beat(held, now=later)


def test_a_sign_of_life_from_the_future_is_none(database: Database) -> None:
    """The clock was put back by days: nobody shall wait that long for a dead worker's job."""
    with_subject(database)
    assert claim(database) is not None
    yesterday = NOW - timedelta(days=1)
    with database.transaction() as tx:
        silence = yesterday - timedelta(minutes=1)
        assert tx.operations.requeue_running(now=yesterday, stale_before=silence) == 1


def test_the_dead_are_listed_revived_and_buried(database: Database) -> None:
    with_subject(database, operations=3)
    for n in (1, 2):
        held = claim(database, f"op_{n}")
        assert held is not None
        with database.transaction() as tx:
            moment = NOW + timedelta(hours=n)
            tx.operations.finish(
                held, state=OperationState.FAILED, now=moment, problem=Problem("p", "d"), dead=True
            )
    with database.transaction() as tx:
        assert [o.operation_id for o in tx.operations.dead(limit=9)] == ["op_2", "op_1"]
        assert not tx.operations.revive("op_3", now=NOW)
        assert tx.operations.revive("op_2", now=NOW)
        assert not tx.operations.revive("op_2", now=NOW)
        revived = tx.operations.get("op_2")
        assert tx.operations.bury(dead_before=NOW + timedelta(hours=2), limit=9) == ["op_1"]
        assert tx.operations.dead(limit=9) == []
        assert not tx.operations.revive("op_1", now=NOW)
        buried = tx.operations.get("op_1")
    assert revived is not None
    assert (revived.state, revived.attempts, revived.problem) == (OperationState.QUEUED, 0, None)
    assert revived.ended_at is None
    assert buried is not None
    assert buried.state is OperationState.FAILED
