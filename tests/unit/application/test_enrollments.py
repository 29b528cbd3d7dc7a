"""The life of an enrollment: every order of deaths, deletions and repetitions that a queue can produce."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon_service.application.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.errors import IdempotencyKeyReused, RequestInFlight
from recon_service.application.housekeeping import Retention, recover_alone, relay_outbox, sweep
from recon_service.application.operations import get_operation
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records import EnrollmentOutcome, OperationState, SelfieReport
from recon_service.application.subjects import delete_subject, list_templates, load_template
from recon_service.domain.errors import Conflict, FitFailed, InvalidValue, NotFound, StorageFault
from recon_service.storage.database import SqlTransaction
from tests.stacks import Stack
from tests.unit.application.stores import (
    OUTCOME,
    POSTERIOR,
    ListQueue,
    ScriptedCompute,
    object_count,
    open_in,
)

POLICY = JobPolicy(attempts=3, silence=timedelta(seconds=60), backoff=timedelta(0))
KEEP_DEAD = timedelta(hours=1)


@pytest.fixture
def stores(tmp_path: Path, stack: Stack) -> Iterator[Stores]:
    opened = open_in(tmp_path / "state", stack)
    yield opened.stores
    opened.close()


def request(subject: str = "ada", **changes: object) -> EnrollmentRequest:
    return replace(EnrollmentRequest(subject, (b"one", b"two"), "consent-1"), **changes)


def ask(stores: Stores, **changes: object) -> str:
    acknowledged = request_enrollment(request(**changes), on=stores, queue=ListQueue())
    return acknowledged.operation.operation_id


def run(
    stores: Stores, operation_id: str, compute: ScriptedCompute | None = None, queue: ListQueue | None = None
) -> object:
    return run_enrollment(
        operation_id,
        on=stores,
        compute=compute or ScriptedCompute(),
        queue=queue or ListQueue(),
        policy=POLICY,
    )


def bury(stores: Stores) -> None:
    later = replace(stores, clock=lambda: utc_now() + 2 * KEEP_DEAD)
    sweep(ListQueue(), on=later, policy=POLICY, retention=Retention(dead=KEEP_DEAD))


class Killed(BaseException):
    """The process dies: nothing after it runs."""


def test_from_request_to_template(stores: Stores) -> None:
    queue, compute = ListQueue(), ScriptedCompute()
    operation = request_enrollment(request(), on=stores, queue=queue).operation
    assert (operation.state, queue.rung, queue.published) == (OperationState.QUEUED, 1, [])
    assert relay_outbox(queue, on=stores) == 1
    assert relay_outbox(queue, on=stores) == 0
    assert queue.published == [operation.operation_id]
    assert object_count(stores) == 2
    ended = run(stores, operation.operation_id, compute)
    assert ended == get_operation(operation.operation_id, on=stores)
    assert ended.state is OperationState.SUCCEEDED
    assert compute.seen == [(b"one", b"two")]
    template = load_template("ada", None, on=stores)
    assert template.template_id == ended.template_id
    assert (template.posterior.mean == POSTERIOR.mean).all()
    assert (template.quality, len(template.provenance)) == (80.0, 1)
    assert object_count(stores) == 0


def test_selfies_lie_encrypted(stores: Stores) -> None:
    ask(stores, selfies=(b"a very recognizable face" * 10,))
    (key,) = stores.objects.list_keys()
    assert b"recognizable" not in stores.objects.get(key)
    assert re.fullmatch(r"selfies/op_[0-9a-f]{32}/0-[0-9a-f]{16}", key), "it names nobody"


def test_running_an_ended_operation_again_does_nothing(stores: Stores) -> None:
    operation_id = ask(stores)
    run(stores, operation_id)
    before = get_operation(operation_id, on=stores)
    compute = ScriptedCompute()
    assert run(stores, operation_id, compute) is None
    assert compute.seen == []
    assert get_operation(operation_id, on=stores) == before
    assert run(stores, "op_unknown") is None


def test_no_good_selfie_is_a_result(stores: Stores) -> None:
    operation_id = ask(stores)
    rejected = EnrollmentOutcome((SelfieReport(False), SelfieReport(False)), None)
    ended = run(stores, operation_id, ScriptedCompute(lambda _: rejected))
    assert (ended.state, ended.attempts, ended.template_id) == (OperationState.REJECTED, 1, None)
    assert object_count(stores) == 0
    with pytest.raises(NotFound):
        load_template("ada", None, on=stores)


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
    assert object_count(stores) == 2, "it may be revived"
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


def test_many_workers_and_one_operation_give_one_template(stores: Stores) -> None:
    operation_id = ask(stores)
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(run(stores, operation_id))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sum(r is not None for r in results) == 1
    assert len(list_templates("ada", on=stores)) == 1


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
    put = stores.objects.put

    def delete_first(key: str, content: bytes) -> None:
        put(key, content)
        if key.split("/")[-1].startswith("1-"):
            delete_subject("ada", on=stores)

    monkeypatch.setattr(stores.objects, "put", delete_first)
    with pytest.raises(Conflict, match="deleted while"):
        ask(stores, idempotency_key="k")
    assert object_count(stores) == 0
    monkeypatch.undo()
    assert ask(stores, idempotency_key="k"), "the key is free again"


def test_an_altered_selfie_is_a_storage_fault(stores: Stores) -> None:
    operation_id = ask(stores)
    first, second = stores.objects.list_keys()
    stores.objects.put(first, stores.objects.get(second))
    with pytest.raises(StorageFault, match="authenticate"):
        run(stores, operation_id)


def test_a_failing_object_store_leaves_no_trace_of_the_request(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = stores.objects.put

    def full(key: str, content: bytes) -> None:
        if "/1-" in key:
            raise StorageFault("the disk is full")
        put(key, content)

    monkeypatch.setattr(stores.objects, "put", full)
    with pytest.raises(StorageFault):
        ask(stores, idempotency_key="k")
    monkeypatch.undo()
    assert object_count(stores) == 0
    with stores.database.snapshot() as tx:
        assert tx.operations.queued() == []
    ask(stores, idempotency_key="k")


def test_killed_in_the_middle_of_a_request(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was acknowledged, so nothing need be kept: the next start clears it away."""
    with monkeypatch.context() as patch:
        patch.setattr(SqlTransaction, "operations", property(lambda _: (_ for _ in ()).throw(Killed)))
        patch.setattr("recon_service.application.enrollments._withdraw", lambda *_: None)
        with pytest.raises(Killed):
            ask(stores, idempotency_key="k")
    assert object_count(stores) == 2
    with pytest.raises(RequestInFlight):
        ask(stores, idempotency_key="k")
    assert recover_alone(ListQueue(), on=stores) == (0, 2)
    assert object_count(stores) == 0
    ask(stores, idempotency_key="k")


def test_cleaning_up_leaves_what_is_needed(stores: Stores) -> None:
    operation_id = ask(stores)
    assert recover_alone(ListQueue(), on=stores) == (1, 0)
    assert run(stores, operation_id).state is OperationState.SUCCEEDED


def test_idempotency_keys_belong_to_an_api_key(stores: Stores) -> None:
    one = ask(stores, idempotency_key="k", api_key_id="app-1")
    assert ask(stores, idempotency_key="k", api_key_id="app-1") == one
    assert ask(stores, idempotency_key="k", api_key_id="app-2") != one
    for other in (
        {"selfies": (b"one", b"three")},
        {"consent_id": "c2"},
        {"subject_id": "bob"},
        {"keep_selfies": True},
    ):
        with pytest.raises(IdempotencyKeyReused):
            request_enrollment(
                replace(request(idempotency_key="k", api_key_id="app-1"), **other),
                on=stores,
                queue=ListQueue(),
            )


def test_idempotency_keys_are_forgotten_after_a_day(stores: Stores) -> None:
    one = ask(stores, idempotency_key="k")
    tomorrow = replace(stores, clock=lambda: utc_now() + timedelta(hours=25))
    assert ask(tomorrow, idempotency_key="k") != one


@pytest.mark.parametrize("subject", ["", "a" * 65, "a/b", "a b", "ä", "a\n", "%00", "'; DROP TABLE subjects"])
def test_subject_ids_that_are_none(subject: str) -> None:
    with pytest.raises(InvalidValue):
        EnrollmentRequest(subject, (b"x",), "c")


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["run", "die", "fail", "recover", "request", "delete"]), max_size=14))
def test_any_history_ends_well(
    tmp_path_factory: pytest.TempPathFactory, stack: Stack, steps: list[str]
) -> None:
    """Whatever happens in whatever order: after a restart every operation that is on record ends once, each
    success has exactly one template, and no object is left behind."""
    opened = open_in(tmp_path_factory.mktemp("history"), stack)
    stores, known = opened.stores, []

    def die(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        raise Killed

    def fail(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        raise FitFailed("no")

    scripts = {"run": lambda _: OUTCOME, "die": die, "fail": fail}
    try:
        for step in ["request", *steps]:
            if step == "request":
                known.append(ask(stores))
            elif step == "recover":
                recover_alone(ListQueue(), on=stores)
            elif step == "delete":
                if known:
                    delete_subject("ada", on=stores)
                known.clear()
            elif known:
                with contextlib.suppress(Killed, FitFailed):
                    run(stores, known[len(known) // 2], ScriptedCompute(scripts[step]))
        queue = ListQueue()
        recover_alone(queue, on=stores)
        relay_outbox(queue, on=stores)
        for operation_id in queue.published:
            run(stores, operation_id)
        bury(stores)
        ends = [get_operation(i, on=stores) for i in known]
        assert all(e.state.ended for e in ends)
        succeeded = {e.template_id for e in ends if e.state is OperationState.SUCCEEDED}
        if known:
            assert {t.template_id for t in list_templates("ada", on=stores)} == succeeded
        assert object_count(stores) == 0
    finally:
        opened.close()
        stack.close()
