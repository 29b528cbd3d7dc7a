"""What every database does for the use cases. A new one joins the list of fixtures and passes all of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recon_service.application.errors import StorageUnavailable
from recon_service.application.ports.database import Database
from recon_service.application.ports.requests import IdempotencyState
from recon_service.application.records import (
    ApiKey,
    Claim,
    DeletionReceipt,
    Lane,
    Operation,
    OperationState,
    Problem,
    Scope,
    SelfieReport,
    StoredSelfie,
    WrappedKey,
)
from recon_service.application.template_records import SealedTemplate, TemplateOrigin, TemplateState
from recon_service.domain.errors import Conflict, InsecureConfiguration, StorageFault
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict
from recon_service.storage.database import DatabaseLimits, SqlDatabase, open_engine
from recon_service.storage.schema import migrate
from tests.servers.postgres import Postgres
from tests.stacks import Production

NOW = datetime(2026, 3, 4, 5, 6, 7, 891011, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


def sqlite(folder: Path) -> SqlDatabase:
    engine = open_engine(f"sqlite:///{folder / 'recon.sqlite3'}")
    migrate(engine)
    return SqlDatabase(engine)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlDatabase]:
    if request.param == "sqlite":
        made = sqlite(tmp_path)
        yield made
        made.close()
        return
    production: Production = request.getfixturevalue("production_stack")
    made = SqlDatabase(open_engine(production.environment()["RECON_DATABASE_URL"]))
    yield made
    made.close()
    production.close()


def operation(number: int = 1, subject: str = "ada") -> Operation:
    return Operation(
        f"op_{number}", subject, OperationState.QUEUED, "c", False, NOW + timedelta(seconds=number), NOW
    )


def template(number: int = 1, made_by: int = 1, subject: str = "ada") -> SealedTemplate:
    moment = NOW + timedelta(seconds=number)
    return SealedTemplate(
        f"tpl_{number}", subject, f"op_{made_by}", "m", "s", "c", 50.0, moment, b"\x00sealed"
    )


def with_subject(database: Database, subject: str = "ada", operations: int = 1) -> None:
    with database.transaction() as tx:
        tx.subjects.add(WrappedKey(f"key_{subject}", subject, "master", b"\x01wrapped"), now=NOW)
        for n in range(1, operations + 1):
            tx.operations.add(operation(n, subject), [StoredSelfie(f"op_{n}", 0, f"selfies/op_{n}/0")])


def claim(
    database: Database, operation_id: str = "op_1", *, token: str = "t", stale: datetime = LONG_AGO
) -> Claim | None:
    with database.transaction() as tx:
        return tx.operations.claim(operation_id, token=token, now=NOW, stale_before=stale)


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


def test_an_operation_has_one_template(database: Database) -> None:
    with_subject(database, operations=2)
    with database.transaction() as tx:
        tx.templates.add(template(1))
    with pytest.raises(Conflict), database.transaction() as tx:
        tx.templates.add(template(2, made_by=1))
    with database.transaction() as tx:
        tx.templates.add(template(3, made_by=2))
        assert [t.template_id for t in tx.templates.of_subject("ada")] == ["tpl_3", "tpl_1"]


def test_one_version_is_in_force_and_the_others_wait_or_rest(database: Database) -> None:
    with_subject(database, operations=3)
    later = NOW + timedelta(hours=1)
    derived = replace(template(4), operation_id=None, origin=TemplateOrigin.REENROLLMENT, parent_id="tpl_1")
    with database.transaction() as tx:
        for made in (template(1), template(2, made_by=2), derived):
            tx.templates.add(made)
        assert tx.templates.active("ada") is None, "nobody is compared with a candidate"
        before = tx.subjects.version("ada")
        assert tx.templates.activate("ada", "tpl_1", now=NOW)
        assert tx.templates.active("ada") == replace(
            template(1), state=TemplateState.ACTIVE, activated_at=NOW
        )
        assert tx.subjects.version("ada") == (before or 0) + 1
        assert tx.templates.activate("ada", "tpl_4", now=later)
        assert tx.templates.active("ada") == replace(derived, state=TemplateState.ACTIVE, activated_at=later)
    with database.transaction() as tx:
        states = {t.template_id: (t.state, t.retired_at) for t in tx.templates.of_subject("ada")}
        assert states == {
            "tpl_1": (TemplateState.RETIRED, later),
            "tpl_2": (TemplateState.CANDIDATE, None),
            "tpl_4": (TemplateState.ACTIVE, None),
        }
        version = tx.subjects.version("ada")
        assert tx.templates.activate("ada", "tpl_4", now=NOW), "it is already"
        assert not tx.templates.activate("ada", "tpl_9", now=NOW)
        assert not tx.templates.activate("bob", "tpl_1", now=NOW)
        assert tx.subjects.version("ada") == version, "nothing changed"
        assert tx.templates.activate("ada", "tpl_1", now=later)
        assert tx.templates.active("ada") == replace(
            template(1), state=TemplateState.ACTIVE, activated_at=later
        ), "bit-equal, as it was"


def test_the_database_itself_holds_that_one_version_is_in_force(database: Database) -> None:
    with_subject(database, operations=2)
    one, two = (replace(template(n, made_by=n), state=TemplateState.ACTIVE) for n in (1, 2))
    with database.transaction() as tx:
        tx.templates.add(one)
    with pytest.raises(Conflict), database.transaction() as tx:
        tx.templates.add(two)


def test_retired_versions_are_destroyed_by_age_and_nothing_else_is(database: Database) -> None:
    with_subject(database, operations=4)
    with database.transaction() as tx:
        for n in (1, 2, 3, 4):
            tx.templates.add(template(n, made_by=n))
        for n in (1, 2, 3):  # 1 and 2 retire one after the other
            tx.templates.activate("ada", f"tpl_{n}", now=NOW + timedelta(days=n))
    between = NOW + timedelta(days=2, hours=12)
    with database.transaction() as tx:
        version = tx.subjects.version("ada")
        assert tx.templates.destroy_retired(retired_before=between, limit=9) == [("ada", "tpl_1")]
        assert tx.subjects.version("ada") == (version or 0) + 1
        assert tx.templates.destroy_retired(retired_before=between, limit=9) == []
    with database.transaction() as tx:
        far = NOW + timedelta(days=9)
        assert tx.templates.destroy_retired(retired_before=far, limit=9) == [("ada", "tpl_2")]
        assert [t.template_id for t in tx.templates.of_subject("ada")] == ["tpl_4", "tpl_3"]


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
        tx.operations.add(operation(7, "bob"), [StoredSelfie("op_7", 0, "selfies/op_7/0")])
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
        tx.idempotency.release(api_key_id="a", key="k")
    assert reserve() == (IdempotencyState.NEW, None)
    with database.transaction() as tx:
        tx.idempotency.complete(api_key_id="a", key="k", operation_id="op_1")
        tx.idempotency.release(api_key_id="a", key="k")
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
        state = tx.operations.queue_state(Lane.INTERACTIVE, now=NOW)
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


def test_the_version_of_a_subject_grows_with_its_templates(database: Database) -> None:
    with_subject(database)
    with database.transaction() as tx:
        before = tx.subjects.version("ada")
        tx.templates.add(template())
        after = tx.subjects.version("ada")
        assert tx.subjects.version("bob") is None
    assert (before, after) == (1, 2)


def test_old_idempotency_keys_expire(database: Database) -> None:
    with database.transaction() as tx:
        for n, moment in enumerate((NOW - timedelta(hours=25), NOW)):
            tx.idempotency.reserve(api_key_id="a", key=str(n), digest="d", subject_id="ada", now=moment)
        assert tx.idempotency.expire(now=NOW) == 1
        assert tx.idempotency.expire(now=NOW) == 0


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
