"""Enrollments that go wrong: faults, killed workers, deletions in the middle of the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from recon_service.application.enrolling.enrollment_runs import run_enrollment
from recon_service.application.enrolling.operations import get_operation, list_dead
from recon_service.application.errors import Overloaded, RequestInFlight, StorageRefused, StorageUnavailable
from recon_service.application.housekeeping import Retention, recover_alone, relay_outbox, sweep
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.operations import EnrollmentOutcome, OperationState
from recon_service.application.records.webhooks import EventKind, WebhookEndpoint
from recon_service.application.searching.reference_feed import ReferencesNotReady
from recon_service.application.templates.subjects import delete_subject, list_subjects, list_templates
from recon_service.domain.errors import (
    Conflict,
    FitFailed,
    InvalidValue,
    NotFound,
    ReconError,
    StorageFault,
    WeightsUnavailable,
)
from recon_service.storage.database import SqlDatabase, SqlTransaction
from tests.unit.application.enrollments_support import KEEP_DEAD, POLICY, Killed, ask, bury, run
from tests.unit.application.stores import (
    OUTCOME,
    ListQueue,
    ScriptedCompute,
    object_count,
)


def test_a_fault_is_tried_again_three_times_and_then_ends_it(stores: Stores) -> None:
    queue = ListQueue()
    operation_id = ask(stores)

    def fail(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        raise FitFailed("diverged", next_step="try others")

    for attempt in (1, 2, 3):
        with pytest.raises(FitFailed):
            run(stores, operation_id, ScriptedCompute(fail), queue)
        state = get_operation(operation_id, on=stores).state
        assert state is (OperationState.FAILED if attempt == 3 else OperationState.QUEUED)
    ended = get_operation(operation_id, on=stores)
    assert ended.problem is not None
    assert (ended.problem.code, ended.attempts) == ("fit-failed", 3)
    assert object_count(stores) == 1, "it may be revived"
    bury(stores)
    assert object_count(stores) == 0
    assert get_operation(operation_id, on=stores).state is OperationState.FAILED


def test_the_callers_mistake_is_not_tried_again(stores: Stores) -> None:
    operation_id = ask(stores)

    def refuse(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        raise InvalidValue("never")

    with pytest.raises(InvalidValue):
        run(stores, operation_id, ScriptedCompute(refuse))
    assert get_operation(operation_id, on=stores).state is OperationState.FAILED


@pytest.mark.parametrize(
    "fault",
    [
        Overloaded("the service is shutting down"),
        ReferencesNotReady("the references are being loaded"),
        WeightsUnavailable("a file is missing"),
        StorageUnavailable("does not answer"),
        StorageRefused("a key was changed"),
    ],
)
def test_what_is_wrong_with_a_worker_costs_no_attempt_for_a_day(stores: Stores, fault: ReconError) -> None:
    """Whoever is quickest to fail takes the most; it must not end everybody's enrollment."""
    operation_id = ask(stores)

    def fail(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        raise fault

    for _ in range(5):
        with pytest.raises(type(fault)):
            run(stores, operation_id, ScriptedCompute(fail))
    waiting = get_operation(operation_id, on=stores)
    assert (waiting.state, waiting.attempts) == (OperationState.QUEUED, 0)
    tomorrow = replace(stores, clock=lambda: utc_now() + timedelta(days=1))
    for _ in range(3):
        with pytest.raises(type(fault)):
            run(tomorrow, operation_id, ScriptedCompute(fail))
    (dead,) = list_dead(on=stores)
    assert (dead.operation_id, dead.attempts) == (operation_id, 3), "but nothing waits for ever"


def test_an_object_that_is_not_there_yet_is_looked_for_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was switched over to a copy may lag behind."""
    operation_id = ask(stores)

    def lags(_key: str) -> bytes:
        raise NotFound("there is no such object")

    with monkeypatch.context() as patch:
        patch.setattr(stores.objects, "get", lags)
        with pytest.raises(NotFound):
            run(stores, operation_id)
    assert get_operation(operation_id, on=stores).state is OperationState.QUEUED
    assert object_count(stores) == 1
    assert run(stores, operation_id).state is OperationState.SUCCEEDED


def test_a_webhook_that_is_removed_at_the_same_moment_costs_nobody_the_enrollment(stores: Stores) -> None:
    """Its row goes between the look at who wants the event and the insertion of the delivery."""
    assert isinstance(stores.database, SqlDatabase)
    engine = stores.database.engine
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    operation_id = ask(stores)
    endpoint = WebhookEndpoint(
        "wh_1", "https://example.org", frozenset({EventKind.OPERATION_ENDED}), b"", utc_now(), "ops"
    )
    with stores.database.transaction() as tx:
        tx.webhooks.add(endpoint)

    removed: list[str] = []

    def remove_first(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO webhook_deliveries") and not removed:
            removed.append("wh_1")
            with stores.database.transaction() as other:
                assert other.webhooks.remove("wh_1")

    event.listen(engine, "before_cursor_execute", remove_first)
    with pytest.raises(Conflict):
        run(stores, operation_id)
    assert get_operation(operation_id, on=stores).state is OperationState.QUEUED
    assert run(stores, operation_id).state is OperationState.SUCCEEDED


def test_the_text_of_an_unforeseen_fault_is_not_shown(stores: Stores) -> None:
    operation_id = ask(stores)

    def crash(selfies: Sequence[bytes]) -> EnrollmentOutcome:
        raise RuntimeError(f"cannot digest {selfies!r}")

    for _ in range(3):
        with pytest.raises(RuntimeError):
            run(stores, operation_id, ScriptedCompute(crash))
    problem = get_operation(operation_id, on=stores).problem
    assert problem is not None
    assert problem.code == "internal-fault"
    assert "one" not in problem.detail


def test_a_killed_worker_loses_nothing_and_a_restart_takes_it_up(stores: Stores) -> None:
    operation_id = ask(stores)

    def die(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        raise Killed

    with pytest.raises(Killed):
        run(stores, operation_id, ScriptedCompute(die))
    assert get_operation(operation_id, on=stores).state is OperationState.RUNNING
    assert run(stores, operation_id) is None, "its worker may be alive for all that others know"
    queue = ListQueue()
    swept = sweep(queue, on=stores, policy=POLICY, retention=Retention(dead=KEEP_DEAD))
    assert not swept.requeued
    assert recover_alone(queue, on=stores) == (1, 0)
    relay_outbox(queue, on=stores)
    assert queue.published == [operation_id]
    assert run(stores, operation_id).attempts == 2


def test_an_operation_that_kills_every_worker_is_given_up(stores: Stores) -> None:
    operation_id = ask(stores)

    def die(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        raise Killed

    for _ in range(3):
        with pytest.raises(Killed):
            run(stores, operation_id, ScriptedCompute(die))
        recover_alone(ListQueue(), on=stores)
    compute = ScriptedCompute()
    assert run(stores, operation_id, compute) is None
    assert compute.seen == []
    ended = get_operation(operation_id, on=stores)
    assert ended.state is OperationState.FAILED
    assert ended.problem is not None
    assert ended.problem.code == "worker-lost"
    bury(stores)
    assert object_count(stores) == 0


def test_a_worker_that_was_given_up_and_comes_back_changes_nothing(stores: Stores) -> None:
    """The slow worker's claim is taken over while it works: only the newer one's template is kept."""
    operation_id = ask(stores)

    def overtaken(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        recover_alone(ListQueue(), on=stores)
        assert run(stores, operation_id).state is OperationState.SUCCEEDED
        return OUTCOME

    run(stores, operation_id, ScriptedCompute(overtaken))
    assert len(list_templates("ada", on=stores)) == 1
    assert get_operation(operation_id, on=stores).attempts == 2


def test_deleted_while_at_work(stores: Stores) -> None:
    operation_id = ask(stores)

    def deleted(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        delete_subject("ada", on=stores)
        return OUTCOME

    assert run(stores, operation_id, ScriptedCompute(deleted)) is None
    with pytest.raises(NotFound):
        get_operation(operation_id, on=stores)
    assert object_count(stores) == 0


def test_deleted_and_enrolled_anew_while_at_work(stores: Stores) -> None:
    """The old selfies' template must not appear under the new consent."""
    operation_id = ask(stores)
    newer: list[str] = []

    def replaced(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        delete_subject("ada", on=stores)
        newer.append(ask(stores))
        return OUTCOME

    assert run(stores, operation_id, ScriptedCompute(replaced)) is None
    assert list_templates("ada", on=stores) == []
    run(stores, newer[0])
    assert len(list_templates("ada", on=stores)) == 1


def test_deleted_between_the_two_transactions_of_a_request(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(stores)
    put = stores.objects.put

    def delete_first(key: str, content: bytes) -> None:
        put(key, content)
        if key.startswith("selfies/"):
            delete_subject("ada", on=stores)

    monkeypatch.setattr(stores.objects, "put", delete_first)
    with pytest.raises(Conflict, match="deleted while"):
        ask(stores, idempotency_key="k")
    assert object_count(stores) == 0
    monkeypatch.undo()
    assert ask(stores, idempotency_key="k"), "the key is free again"


def test_an_altered_selfie_is_a_storage_fault(stores: Stores) -> None:
    operation_id = ask(stores)
    (ours,) = stores.objects.list_keys()
    ask(stores)
    (other,) = {*stores.objects.list_keys()} - {ours}
    stores.objects.put(ours, stores.objects.get(other))
    with pytest.raises(StorageFault, match="authenticate"):
        run(stores, operation_id)


def test_a_failing_object_store_leaves_no_trace_of_the_request(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_key: str, _content: bytes) -> None:
        raise StorageFault("the disk is full")

    monkeypatch.setattr(stores.objects, "put", full)
    with pytest.raises(StorageFault):
        ask(stores, idempotency_key="k")
    monkeypatch.undo()
    assert object_count(stores) == 0
    assert list_subjects(on=stores) == [], "nobody has consented to anything yet"
    with stores.database.snapshot() as tx:
        assert tx.operations.queued() == []
    ask(stores, idempotency_key="k")


def test_killed_in_the_middle_of_a_request(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was acknowledged, so nothing need be kept: the next start clears it away."""
    with monkeypatch.context() as patch:
        patch.setattr(SqlTransaction, "operations", property(lambda _: (_ for _ in ()).throw(Killed)))
        patch.setattr("recon_service.application.enrolling.enrollments._withdraw", lambda *_: None)
        with pytest.raises(Killed):
            ask(stores, idempotency_key="k")
    assert object_count(stores) == 1
    assert list_subjects(on=stores) == [], "and no sweep would find a subject of whom nothing is stored"
    with pytest.raises(RequestInFlight):
        ask(stores, idempotency_key="k")
    assert recover_alone(ListQueue(), on=stores) == (0, 1)
    assert object_count(stores) == 0
    ask(stores, idempotency_key="k")


@dataclass
class StillLoading:
    """The references that everybody is searched among are not there yet."""

    hold: bool = False
    checked: int = 0

    def check(self) -> None:
        self.checked += 1
        raise ReferencesNotReady("the references are being loaded")


def test_nothing_is_computed_before_the_references_are_loaded(stores: Stores) -> None:
    operation_id, compute, loading = ask(stores), ScriptedCompute(), StillLoading()
    for _ in range(5):
        with pytest.raises(ReferencesNotReady):
            run_enrollment(
                operation_id,
                on=stores,
                compute=compute,
                queue=ListQueue(),
                policy=POLICY,
                duplicates=loading,  # type: ignore[arg-type]
            )
    assert (compute.seen, loading.checked) == ([], 5)
    assert run(stores, operation_id, compute).attempts == 1
