"""The outbox, the sweeper and the dead letters: what is lost on the way comes back, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from recon_service.application import housekeeping
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.enrolling.operations import get_operation, list_dead, queue_states, retry_dead
from recon_service.application.errors import PreconditionFailed, QueueFull, StorageUnavailable
from recon_service.application.housekeeping import Retention, recover_alone, relay_outbox, sweep
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.operations import EnrollmentOutcome, Lane, OperationState
from recon_service.application.templates.subjects import delete_subject, list_templates, subject_version
from recon_service.domain.errors import Conflict, FitFailed, StorageFault
from tests.unit.application.stores import ListQueue, ScriptedCompute, object_count

POLICY = JobPolicy(attempts=3, silence=timedelta(seconds=60), backoff=timedelta(seconds=1))
HOUR = timedelta(hours=1)


def at(stores: Stores, delay: timedelta) -> Stores:
    """The same stores as a process sees them whose clock is off by ``delay``."""
    return replace(stores, clock=lambda: utc_now() + delay)


def ask(stores: Stores, queue: ListQueue | None = None, subject: str = "ada", **changes: object) -> str:
    budget = changes.pop("budget", None)
    wanted = replace(EnrollmentRequest(subject, (b"one", b"two"), "consent-1"), **changes)
    return request_enrollment(
        wanted, on=stores, queue=queue or ListQueue(), budget=budget
    ).operation.operation_id


def run(stores: Stores, operation_id: str, compute: ScriptedCompute | None = None) -> object:
    return run_enrollment(
        operation_id, on=stores, compute=compute or ScriptedCompute(), queue=ListQueue(), policy=POLICY
    )


def swept(stores: Stores, queue: ListQueue, delay: timedelta = timedelta(0)) -> dict[str, int]:
    found = sweep(queue, on=at(stores, delay), policy=POLICY, retention=Retention(dead=HOUR))
    return {name: getattr(found, name) for name in found.__slots__ if getattr(found, name)}


def fail(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
    raise FitFailed("diverged")


def give_up(stores: Stores, operation_id: str) -> None:
    for n in range(POLICY.attempts):
        with pytest.raises(FitFailed):
            run(at(stores, n * HOUR), operation_id, ScriptedCompute(fail))


# ---- outbox -------------------------------------------------------------------------------------


def test_without_a_broker_enrollments_are_taken_and_published_later(stores: Stores) -> None:
    queue = ListQueue(down=True)
    operations = [ask(stores, queue), ask(stores, queue, batch=True)]
    with pytest.raises(StorageUnavailable):
        relay_outbox(queue, on=stores)
    assert queue_states(on=stores)[0].unpublished == 1
    queue.down = False
    assert relay_outbox(queue, on=stores) == 2
    assert queue.published == operations
    assert queue.lanes == [Lane.INTERACTIVE, Lane.BATCH]
    assert relay_outbox(queue, on=stores) == 0


def test_what_was_published_before_the_broker_went_is_marked(stores: Stores) -> None:
    class Breaking(ListQueue):
        def publish_enrollment(self, operation_id: str, lane: Lane) -> None:
            self.down = len(self.published) == 2
            super().publish_enrollment(operation_id, lane)

    queue = Breaking()
    operations = [ask(stores) for _ in range(3)]
    with pytest.raises(StorageUnavailable):
        relay_outbox(queue, on=stores)
    assert queue.published == operations[:2]
    rest = ListQueue()
    relay_outbox(rest, on=stores)
    assert rest.published == operations[2:]


def test_more_than_a_batch_is_relayed_at_once(stores: Stores) -> None:
    for n in range(53):
        ask(stores, subject=f"s{n % 3}", selfies=(b"x",))
    assert relay_outbox(ListQueue(), on=stores) == 53


# ---- lost messages and silent workers -----------------------------------------------------------


def test_messages_that_an_empty_broker_lost_are_published_again(stores: Stores) -> None:
    operation_id, queue = ask(stores), ListQueue(depth=0)
    relay_outbox(queue, on=stores)
    assert swept(stores, queue) == {}, "a worker may just be taking it"
    assert swept(stores, queue, timedelta(seconds=10)) == {"lost": 1}
    relay_outbox(queue, on=stores)
    assert queue.published == [operation_id] * 2
    busy = ListQueue(depth=7)
    assert swept(stores, busy, timedelta(seconds=10)) == {}
    assert swept(stores, busy, timedelta(minutes=11)) == {"lost": 1}
    assert swept(stores, ListQueue(down=True), HOUR) == {}
    assert run(stores, operation_id).state is OperationState.SUCCEEDED
    assert run(stores, operation_id) is None, "the second message finds nothing to do"


def test_jobs_go_on_while_something_keeps_the_sweep_from_forgetting(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that runs into its time limit at every sweep, for example."""
    silent, unheard, queue = ask(stores), ask(stores, subject="bob"), ListQueue(depth=0)
    with stores.database.transaction() as tx:
        tx.operations.claim(silent, token="t", now=utc_now(), stale_before=utc_now() - HOUR)
    relay_outbox(queue, on=stores)
    assert queue.published == [unheard]

    def too_slow(*_args: object, **_options: object) -> None:
        raise StorageUnavailable("canceling statement due to statement timeout")

    monkeypatch.setattr("recon_service.storage.templates.SqlTemplates.destroy_retired", too_slow)
    with pytest.raises(StorageUnavailable):
        swept(stores, queue, timedelta(minutes=2))
    relay_outbox(queue, on=at(stores, timedelta(minutes=2)))
    assert sorted(queue.published) == sorted([unheard, unheard, silent])


def test_the_job_of_a_silent_worker_is_taken_up(stores: Stores) -> None:
    operation_id, queue = ask(stores), ListQueue()
    with stores.database.transaction() as tx:
        tx.operations.claim(operation_id, token="t", now=utc_now(), stale_before=utc_now() - HOUR)
    assert swept(stores, queue) == {}
    assert swept(stores, queue, timedelta(minutes=2)) == {"requeued": 1}
    assert run(stores, operation_id).attempts == 2


def test_the_storage_being_away_costs_no_attempt(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    operation_id = ask(stores)

    def away(_key: str) -> bytes:
        raise StorageUnavailable("refused")

    with monkeypatch.context() as patch:
        patch.setattr(stores.objects, "get", away)
        for n in range(5):
            with pytest.raises(StorageUnavailable):
                run(at(stores, n * HOUR), operation_id)
    waiting = get_operation(operation_id, on=stores)
    assert (waiting.state, waiting.attempts) == (OperationState.QUEUED, 0)
    queue = ListQueue()
    assert relay_outbox(queue, on=stores) == 0, "not before a while has passed"
    assert relay_outbox(queue, on=at(stores, 5 * HOUR)) == 1
    assert run(stores, operation_id).state is OperationState.SUCCEEDED


def test_objects_that_cannot_be_deleted_now_are_deleted_later(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = ask(stores)
    with monkeypatch.context() as patch:

        def away(*_keys: str) -> bool:
            raise StorageUnavailable("refused")

        patch.setattr(stores.objects, "delete", away)
        assert run(stores, operation_id).state is OperationState.SUCCEEDED
        assert delete_subject("ada", on=stores).templates == 1
        assert object_count(stores) == 1
    assert swept(stores, ListQueue()) == {"objects": 1}
    assert object_count(stores) == 0
    assert swept(stores, ListQueue()) == {}


def test_an_object_that_cannot_be_deleted_holds_up_no_other(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a legal hold, for example: the list is worked on from its oldest end, a few at a time."""
    monkeypatch.setattr(housekeeping, "SWEPT_AT_ONCE", 2)
    held, delete = "selfies/held", stores.objects.delete

    def refuses_one(*keys: str) -> list[str]:
        delete(*(key for key in keys if key != held))
        return [key for key in keys if key == held]

    monkeypatch.setattr(stores.objects, "delete", refuses_one)
    names = [held, *(f"selfies/{n}" for n in range(5))]
    for n, name in enumerate(names):
        stores.objects.put(name, b"x")
        with stores.database.transaction() as tx:
            tx.loose_objects.doom([name], now=utc_now() + timedelta(seconds=n) - HOUR)
    assert [swept(stores, ListQueue()).get("objects", 0) for _ in range(5)] == [1, 2, 2, 0, 0]
    assert list(stores.objects.list_keys("selfies/")) == [held]
    with stores.database.snapshot() as tx:
        assert tx.loose_objects.doomed(limit=9) == [held], "nobody forgets it"


def test_a_start_without_the_object_store_forgets_no_object(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.objects.put("selfies/op_1/0", b"x")
    with stores.database.transaction() as tx:
        tx.loose_objects.doom(["selfies/op_1/0"], now=utc_now())

    def away(*_: str) -> list[str]:
        raise StorageUnavailable("refused")

    with monkeypatch.context() as patch:
        patch.setattr(stores.objects, "list_keys", away)
        patch.setattr(stores.objects, "delete", away)
        assert recover_alone(ListQueue(), on=stores) == (0, 0)
    assert swept(stores, ListQueue()) == {"objects": 1}
    assert object_count(stores) == 0


def test_uploads_of_a_request_that_died_are_removed(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("recon_service.application.enrolling.enrollments._record", die)
        patch.setattr("recon_service.application.enrolling.enrollments._withdraw", die)
        with pytest.raises(SystemExit):
            ask(stores)
    assert object_count(stores) == 1
    assert swept(stores, ListQueue()) == {}, "it may be under way"
    assert swept(stores, ListQueue(), timedelta(minutes=11)) == {"stale": 1, "objects": 1}
    assert object_count(stores) == 0


def test_a_commit_whose_confirmation_was_lost_is_not_withdrawn(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database went down between the commit and its answer: the enrollment is on record, and the client,
    who repeats the request, meets it."""
    from recon_service.application.enrolling import enrollments

    record = enrollments._record

    def lost(*args: object, **options: object) -> object:
        record(*args, **options)
        raise StorageUnavailable("connection lost")

    with monkeypatch.context() as patch:
        patch.setattr(enrollments, "_record", lost)
        with pytest.raises(StorageUnavailable):
            ask(stores, idempotency_key="k")
    operation_id = ask(stores, idempotency_key="k")
    assert run(stores, operation_id).state is OperationState.SUCCEEDED
    assert len(list_templates("ada", on=stores)) == 1


# ---- clocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [timedelta(days=-2), timedelta(days=2)])
def test_a_clock_that_jumps_loses_and_doubles_nothing(stores: Stores, jump: timedelta) -> None:
    jumped, queue = at(stores, jump), ListQueue(depth=0)
    operation_id = ask(stores, idempotency_key="k")
    dead_worker = ask(stores, subject="bob")
    with stores.database.transaction() as tx:
        tx.operations.claim(dead_worker, token="t", now=utc_now(), stale_before=utc_now() - HOUR)
    relay_outbox(queue, on=stores)
    # Put back, the clock takes what was asked for before for something of the future, which is due now.
    asked_in_the_future = 1 if jump < timedelta(0) else 0
    assert swept(stores, queue, jump) == {"requeued": 1 + asked_in_the_future, "lost": 1}
    relay_outbox(queue, on=jumped)
    relay_outbox(queue, on=stores)
    assert set(queue.published) == {operation_id, dead_worker}
    for each in queue.published:
        run(jumped, each)
    assert {get_operation(i, on=stores).state for i in (operation_id, dead_worker)} == {
        OperationState.SUCCEEDED
    }
    assert len(list_templates("ada", on=stores)) == len(list_templates("bob", on=stores)) == 1
    assert object_count(stores) == 0
    assert ask(jumped, idempotency_key="other")


def test_what_was_put_back_while_a_clock_was_ahead_does_not_wait_for_it(stores: Stores) -> None:
    """A worker whose clock was three hours ahead gave an operation back for another attempt."""
    operation_id, queue = ask(stores), ListQueue(depth=0)
    ahead = at(stores, 3 * HOUR)
    with ahead.database.transaction() as tx:
        now = ahead.clock()
        claim = tx.operations.claim(operation_id, token="t", now=now, stale_before=now - HOUR)
        assert claim is not None
        tx.operations.requeue(claim, now=now, due=now + POLICY.backoff)
    assert relay_outbox(queue, on=stores) == 0, "it seems to be due in three hours"
    assert swept(stores, queue)["requeued"] == 1
    assert relay_outbox(queue, on=stores) == 1
    run(stores, operation_id)
    assert get_operation(operation_id, on=stores).state is OperationState.SUCCEEDED


def test_however_many_attempts_there_are_the_next_one_comes(stores: Stores) -> None:
    """Four times as long each time is eighteen hours after nine attempts, and no date at all after thirty."""
    many = replace(POLICY, attempts=100)
    operation_id, queue = ask(stores), ListQueue(depth=0)
    for _ in range(many.attempts - 1):
        with pytest.raises(FitFailed):
            run_enrollment(operation_id, on=stores, compute=ScriptedCompute(fail), queue=queue, policy=many)
    sweep(queue, on=stores, policy=many, retention=Retention(dead=HOUR))
    assert relay_outbox(queue, on=at(stores, HOUR)) == 1
    with pytest.raises(FitFailed):
        run_enrollment(operation_id, on=stores, compute=ScriptedCompute(fail), queue=queue, policy=many)
    (dead,) = list_dead(on=stores)
    assert dead.attempts == 100


def test_by_a_clock_that_is_not_believed_nothing_is_destroyed(stores: Stores) -> None:
    """A machine that starts in the year 2030 must not end what operations could still try again."""
    run(stores, ask(stores, subject="bob"))
    run(stores, ask(stores, subject="bob"))
    operation_id = ask(stores)
    give_up(stores, operation_id)
    years = at(stores, timedelta(days=2000))
    for believed in (False, True):
        sweep(ListQueue(), on=years, policy=POLICY, retention=Retention(dead=HOUR), clock_believed=believed)
        assert len(list_dead(on=stores)) == (0 if believed else 1)
        assert object_count(stores) == (0 if believed else 1)
        assert len(list_templates("bob", on=stores)) == (1 if believed else 2)


# ---- backpressure, dead letters, versions -------------------------------------------------------


def test_when_others_have_waited_too_long_none_is_taken_but_replays_are(stores: Stores) -> None:
    minute = timedelta(minutes=1)
    first = ask(stores, idempotency_key="k", budget=minute)
    late = at(stores, 2 * minute)
    with pytest.raises(QueueFull):
        ask(late, idempotency_key="k2", budget=minute)
    assert ask(late, idempotency_key="k", budget=minute) == first
    assert object_count(stores) == 1
    assert ask(late, batch=True, budget=minute), "the other lane is free"
    run(stores, first)
    assert ask(late, idempotency_key="k2", budget=minute)


def test_the_dead_can_be_looked_at_and_tried_again(stores: Stores) -> None:
    operation_id, queue = ask(stores), ListQueue()
    with pytest.raises(Conflict):
        retry_dead(operation_id, on=stores, queue=queue)
    give_up(stores, operation_id)
    (dead,) = list_dead(on=stores)
    assert (dead.operation_id, dead.state, dead.attempts) == (operation_id, OperationState.FAILED, 3)
    revived = retry_dead(operation_id, on=stores, queue=queue)
    assert (revived.state, revived.attempts, queue.rung) == (OperationState.QUEUED, 0, 1)
    assert list_dead(on=stores) == []
    relay_outbox(queue, on=stores)
    assert queue.published == [operation_id]
    assert run(stores, operation_id).state is OperationState.SUCCEEDED
    assert object_count(stores) == 0


def test_the_dead_are_buried_with_their_selfies(stores: Stores) -> None:
    operation_id = ask(stores)
    give_up(stores, operation_id)
    assert swept(stores, ListQueue(), timedelta(minutes=30)) == {}
    assert swept(stores, ListQueue(), 5 * HOUR) == {"buried": 1, "objects": 1}
    assert object_count(stores) == 0
    with pytest.raises(Conflict, match="failed"):
        retry_dead(operation_id, on=stores, queue=ListQueue())


def test_a_subject_is_deleted_only_as_it_was_seen(stores: Stores) -> None:
    run(stores, ask(stores))
    seen = subject_version("ada", on=stores)
    assert subject_version("ada", on=stores) == seen
    run(stores, ask(stores))
    with pytest.raises(PreconditionFailed):
        delete_subject("ada", on=stores, if_version=seen)
    assert len(list_templates("ada", on=stores)) == 2
    delete_subject("ada", on=stores, if_version=subject_version("ada", on=stores))
    run(stores, ask(stores))
    assert subject_version("ada", on=stores) != seen, "another subject of the same name"


def test_storage_faults_in_progress_do_not_stop_the_work(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = ask(stores)
    monkeypatch.setattr(
        "recon_service.storage.jobs.SqlOperations.report",
        lambda *_args, **_kwargs: (_ for _ in ()).throw(StorageFault("x")),
    )
    assert run(stores, operation_id).state is OperationState.SUCCEEDED
