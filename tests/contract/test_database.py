"""What every database does for the use cases. A new one joins databases.py and passes all of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recon_service.application.errors import StorageUnavailable
from recon_service.application.ports.database import Database
from recon_service.application.ports.requests import IdempotencyState
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.records.operations import OperationState, Problem, SelfieReport, StoredSelfies
from recon_service.application.records.subjects import DeletionReceipt, WrappedKey
from recon_service.domain.errors import Conflict, InsecureConfiguration, StorageFault
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict
from recon_service.storage.database import SqlDatabase
from recon_service.storage.engines import DatabaseLimits, open_engine
from tests.contract.databases import NOW, claim, database, operation, sqlite, template, with_subject
from tests.servers.postgres import Postgres

__all__ = ["database"]


def test_what_was_stored_comes_back_whole(database: Database) -> None:
    with_subject(database)
    held = claim(database)
    assert held is not None
    measure = QualityMeasure("yaw", -12.5, "degrees", 40.0, Verdict.WARNING, "Look ahead.")
    reports = (
        SelfieReport(True, QualityReport((measure,))),
        SelfieReport(False, None, Problem("image-empty", "d", "n")),
    )
    with database.transaction() as tx:
        tx.templates.add(template())
        tx.operations.finish(
            held, state=OperationState.SUCCEEDED, now=NOW, selfies=reports, template_id="tpl_1", problem=None
        )
    with database.snapshot() as tx:
        stored = tx.operations.get("op_1")
        assert tx.templates.of_subject("ada") == [template()]
        assert tx.templates.get("ada", "tpl_1") == template()
        assert tx.templates.get("bob", "tpl_1") is None
        assert tx.subjects.key("ada") == WrappedKey("key_ada", "ada", "master", b"\x01wrapped")
    assert stored is not None
    assert (stored.selfies, stored.ended_at, stored.template_id) == (reports, NOW, "tpl_1")
    assert stored.created_at == operation().created_at
    assert stored.version == 3


def test_an_exception_rolls_everything_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as tx:  # noqa: PT012
        tx.subjects.add(WrappedKey("k", "ada", "m", b""), now=NOW)
        raise ZeroDivisionError
    with database.snapshot() as tx:
        assert tx.subjects.key("ada") is None


def test_nothing_is_stored_for_subjects_and_operations_that_are_not_there(database: Database) -> None:
    with_subject(database)
    for broken in (template(1, made_by=9), replace(template(1), subject_id="bob")):
        with pytest.raises(Conflict), database.transaction() as tx:
            tx.templates.add(broken)
    with pytest.raises(Conflict), database.transaction() as tx:
        tx.operations.add(operation(5, "bob"), [])
    with pytest.raises(Conflict), database.transaction() as tx:
        tx.subjects.add(WrappedKey("other", "ada", "m", b""), now=NOW)


def test_erasing_a_subject_takes_all_of_it_and_nothing_else(database: Database) -> None:
    with_subject(database, operations=2)
    with database.transaction() as tx:
        tx.subjects.add(WrappedKey("key_bob", "bob", "m", b""), now=NOW)
        tx.operations.add(operation(7, "bob"), [StoredSelfies("op_7", 0, "selfies/op_7/0")])
        tx.templates.add(template(1))
        tx.idempotency.reserve(api_key_id="a", key="k", digest="d", subject_id="ada", now=NOW)
        erasure = tx.subjects.erase("ada")
        assert tx.subjects.erase("ada") is None
    assert erasure is not None
    assert (erasure.templates, erasure.operations) == (1, 2)
    assert sorted(erasure.object_keys) == ["selfies/op_1/0", "selfies/op_2/0"]
    with database.transaction() as tx:
        assert tx.subjects.key("ada") is None
        assert tx.operations.get("op_1") is None
        assert tx.selfies.object_keys() == {"selfies/op_7/0"}
        assert tx.operations.queued() == ["op_7"]
        again = tx.idempotency.reserve(api_key_id="a", key="k", digest="other", subject_id="ada", now=NOW)
        assert again.state is IdempotencyState.NEW


def test_the_life_of_an_idempotency_key(database: Database) -> None:
    with_subject(database)

    def reserve(digest: str = "d", now: datetime = NOW) -> tuple[IdempotencyState, str | None]:
        with database.transaction() as tx:
            found = tx.idempotency.reserve(api_key_id="a", key="k", digest=digest, subject_id="ada", now=now)
            return found.state, found.operation_id

    assert reserve() == (IdempotencyState.NEW, None)
    assert reserve() == (IdempotencyState.IN_FLIGHT, None)
    assert reserve("other") == (IdempotencyState.OTHER_CONTENT, None)
    assert reserve(now=NOW + timedelta(minutes=3)) == (IdempotencyState.NEW, None), "its process died"
    with database.transaction() as tx:
        assert not tx.idempotency.complete(api_key_id="a", key="k", since=NOW, operation_id="op_9"), (
            "another request has its place"
        )
        tx.idempotency.release(api_key_id="a", key="k", since=NOW)
    assert reserve(now=NOW + timedelta(minutes=4)) == (IdempotencyState.IN_FLIGHT, None)
    with database.transaction() as tx:
        tx.idempotency.release(api_key_id="a", key="k", since=NOW + timedelta(minutes=3))
    assert reserve() == (IdempotencyState.NEW, None)
    with database.transaction() as tx:
        assert tx.idempotency.complete(api_key_id="a", key="k", since=NOW, operation_id="op_1")
        assert not tx.idempotency.complete(api_key_id="a", key="k", since=NOW, operation_id="op_9")
        tx.idempotency.release(api_key_id="a", key="k", since=NOW)
        assert tx.idempotency.release_in_flight() == 0
    assert reserve() == (IdempotencyState.REPLAY, "op_1")
    assert reserve("other") == (IdempotencyState.OTHER_CONTENT, None)
    assert reserve(now=NOW + timedelta(hours=25)) == (IdempotencyState.NEW, None)


def test_api_keys_and_receipts(database: Database) -> None:
    key = ApiKey("id", "name", frozenset({Scope.OPS, Scope.VERIFY}), b"\x00" * 32, False, NOW)
    receipt = DeletionReceipt("r", "digest", NOW, 1, 2, 3, 1, "mac")
    with database.transaction() as tx:
        tx.api_keys.add(key)
        tx.receipts.add(receipt)
        assert tx.api_keys.revoke("id", now=NOW)
        assert not tx.api_keys.revoke("id", now=NOW)
    with database.snapshot() as tx:
        assert tx.api_keys.all() == [replace(key, revoked_at=NOW)]
        assert tx.receipts.get("r") == receipt
        assert tx.receipts.get("x") is None


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with_subject(database)
    with database.transaction() as writing:
        writing.operations.requeue_running(now=NOW, stale_before=None)
        writing.subjects.add(WrappedKey("k", "bob", "m", b""), now=NOW)
        with database.snapshot() as reading:
            assert reading.subjects.key("bob") is None
            assert reading.subjects.key("ada") is not None


def test_objects_without_an_owner_are_on_a_list(database: Database) -> None:
    with database.transaction() as tx:
        tx.loose_objects.begin(["a", "b", "c"], now=NOW)
        assert tx.loose_objects.doomed(limit=9) == []
        assert tx.loose_objects.adopt(["a"])
        assert not tx.loose_objects.adopt(["a"])
        assert tx.loose_objects.doom_stale(begun_before=NOW, now=NOW) == 0
        tx.loose_objects.doom(["b", "x"], now=NOW)
        tx.loose_objects.doom(["b", "b"], now=NOW)
        assert sorted(tx.loose_objects.doomed(limit=9)) == ["b", "x"]
        assert not tx.loose_objects.adopt(["b"]), "it is to be deleted"
        assert tx.loose_objects.doom_stale(begun_before=NOW + timedelta(hours=1), now=NOW) == 1
        tx.loose_objects.drop(["b", "c"])
        assert tx.loose_objects.doomed(limit=9) == ["x"]


def test_the_list_of_objects_may_be_long(database: Database) -> None:
    """A database that was set back knows none of the objects that came since."""
    many = [f"selfies/op_{n}/0" for n in range(70_000)]
    with database.transaction() as tx:
        tx.loose_objects.doom(many[:2], now=NOW)
        tx.loose_objects.drop(many[1:])
        assert tx.loose_objects.doomed(limit=9) == many[:1]


def test_old_idempotency_keys_expire(database: Database) -> None:
    with database.transaction() as tx:
        for n, moment in enumerate((NOW - timedelta(hours=25), NOW)):
            tx.idempotency.reserve(api_key_id="a", key=str(n), digest="d", subject_id="ada", now=moment)
        assert tx.idempotency.expire(now=NOW, limit=9) == 1
        assert tx.idempotency.expire(now=NOW, limit=9) == 0


def test_many_writers_at_once_lose_nothing(database: Database) -> None:
    with_subject(database)
    faults: list[BaseException] = []

    def write(worker: int) -> None:
        try:
            for n in range(5):
                with database.transaction() as tx:
                    tx.subjects.key("ada", lock=True)
                    tx.operations.add(operation(100 * worker + n), [])
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(1, 7)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert faults == []
    with database.snapshot() as tx:
        assert len(tx.operations.queued()) == 31


def test_a_postgresql_that_is_not_there_is_unavailable_and_its_address_is_not_repeated() -> None:
    database = SqlDatabase(open_engine("postgresql://user:a-secret@127.0.0.1:1/recon"))
    with pytest.raises(StorageUnavailable) as caught:
        database.check()
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://user:a-secret@host/x", "a-secret", ""])
def test_other_databases_are_refused_without_repeating_the_address(url: str) -> None:
    with pytest.raises(InsecureConfiguration) as caught:
        open_engine(url)
    assert "a-secret" not in str(caught.value)


def test_postgresql_limits_the_time_of_statements_and_locks(postgres: Postgres) -> None:
    limits = DatabaseLimits(connections=1, checkout=0.2, statement=0.3, lock=0.2)
    database = SqlDatabase(open_engine(postgres.url(), limits))
    with pytest.raises(StorageUnavailable), database.transaction() as tx:
        tx.subjects._connection.exec_driver_sql("SELECT pg_sleep(5)")
    with database.transaction(), pytest.raises(StorageUnavailable), database.transaction():
        pass  # no second connection
    database.close()


def test_technical_failures_are_typed_and_do_not_repeat_values(tmp_path: Path) -> None:
    database = sqlite(tmp_path)
    with pytest.raises(StorageFault) as caught, database.transaction() as tx:
        tx.subjects._connection.exec_driver_sql("INSERT INTO nowhere VALUES ('a-secret')")
    assert "a-secret" not in str(caught.value)
    database.close()
    (tmp_path / "recon.sqlite3").write_bytes(b"this is no database" * 100)
    for leftover in tmp_path.glob("recon.sqlite3-*"):
        leftover.unlink()
    with pytest.raises(StorageFault):
        database.check()
