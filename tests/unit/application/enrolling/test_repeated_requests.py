"""A request and its repetition under way at the same time: one of them enrolls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from recon_service.application.errors import RequestInFlight, StorageUnavailable
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.operations import OperationState
from recon_service.application.templates.subjects import list_subjects
from recon_service.storage.database import SqlDatabase, SqlTransaction
from tests.unit.application.enrollments_support import ask, run
from tests.unit.application.stores import ScriptedCompute, object_count

COMMIT_S = 0.3


def test_a_request_that_is_slower_than_its_repetition_enrolls_nobody(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object store stalls for minutes, the client repeats the request, and that one is through first."""
    later = replace(stores, clock=lambda: utc_now() + timedelta(minutes=3))
    put, repeated = stores.objects.put, list[str]()

    def stalls(key: str, content: bytes) -> None:
        if not repeated:
            repeated.append("")
            repeated[0] = ask(later, idempotency_key="k")
        put(key, content)

    with monkeypatch.context() as patch:
        patch.setattr(stores.objects, "put", stalls)
        with pytest.raises(RequestInFlight):
            ask(stores, idempotency_key="k")
    with stores.database.snapshot() as tx:
        assert tx.operations.queued() == repeated
    assert ask(later, idempotency_key="k") == repeated[0], "the key stands for what was acknowledged"
    assert object_count(stores) == 1


@dataclass
class LosesTheAnswer:
    """The database goes on with the commit of one transaction, but nobody hears of it any more."""

    database: SqlDatabase
    at: int
    begun: int = 0
    committing: list[threading.Thread] = field(default_factory=list)

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        self.begun += 1
        if self.begun != self.at:
            with self.database.transaction() as tx:
                yield tx
            return
        connection = self.database.engine.connect()
        connection.begin()
        yield SqlTransaction(connection)

        def commit() -> None:
            connection.commit()
            connection.close()

        self.committing.append(threading.Timer(COMMIT_S, commit))
        self.committing[0].start()
        raise StorageUnavailable("connection lost")

    def snapshot(self) -> object:
        return self.database.snapshot()


def test_a_commit_that_the_server_still_works_on_is_not_withdrawn(stores: Stores) -> None:
    """Else its selfies would be deleted, and a repeated request would be told that it is enrolled."""
    assert isinstance(stores.database, SqlDatabase)
    database = LosesTheAnswer(stores.database, at=2)
    with pytest.raises(StorageUnavailable):
        ask(replace(stores, database=database), idempotency_key="k")
    for thread in database.committing:
        thread.join()
    operation_id = ask(stores, idempotency_key="k")
    with stores.database.snapshot() as tx:
        assert tx.operations.queued() == [operation_id]
    assert object_count(stores) == 1
    assert run(stores, operation_id).state is OperationState.SUCCEEDED


def test_a_subject_for_whom_another_request_enrolls_meanwhile_stays(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, others = stores.objects.put, list[str]()

    def fails_after_another(key: str, content: bytes) -> None:
        if not others:
            others.append("")
            others[0] = ask(stores)
            raise StorageUnavailable("refused")
        put(key, content)

    with monkeypatch.context() as patch:
        patch.setattr(stores.objects, "put", fails_after_another)
        with pytest.raises(StorageUnavailable):
            ask(stores)
    assert run(stores, others[0]).state is OperationState.SUCCEEDED


def test_of_two_first_enrollments_of_a_subject_both_can_be_opened(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower one has sealed its selfies already, with a key that the subject did not get."""
    put, others = stores.objects.put, list[str]()

    def is_overtaken(key: str, content: bytes) -> None:
        put(key, content)
        if not others:
            others.append("")
            others[0] = ask(stores, selfies=(b"other",))

    with monkeypatch.context() as patch:
        patch.setattr(stores.objects, "put", is_overtaken)
        slower = ask(stores)
    seen = ScriptedCompute()
    for operation_id in (others[0], slower):
        assert run(stores, operation_id, seen).state is OperationState.SUCCEEDED
    assert seen.seen == [(b"other",), (b"one", b"two")]


def test_many_first_enrollments_of_a_subject_at_once(stores: Stores) -> None:
    with ThreadPoolExecutor(6) as threads:
        asked = list(threads.map(lambda _: ask(stores), range(6)))
    assert {run(stores, one).state for one in asked} == {OperationState.SUCCEEDED}
    assert len(list_subjects(on=stores)) == 1
