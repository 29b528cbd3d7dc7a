"""The life of an enrollment: all orders of deaths, deletions and repetitions that a queue can produce."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.enrolling.operations import get_operation
from recon_service.application.errors import IdempotencyKeyReused
from recon_service.application.housekeeping import recover_alone, relay_outbox
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.operations import EnrollmentOutcome, OperationState, SelfieReport
from recon_service.application.templates.subjects import delete_subject, list_templates, load_template
from recon_service.domain.errors import FitFailed, InvalidValue, NotFound
from tests.stacks import Stack
from tests.unit.application.enrollments_support import Killed, ask, bury, request, run
from tests.unit.application.stores import (
    OUTCOME,
    POSTERIOR,
    ListQueue,
    ScriptedCompute,
    object_count,
    open_in,
)


def test_from_request_to_template(stores: Stores) -> None:
    queue, compute = ListQueue(), ScriptedCompute()
    operation = request_enrollment(request(), on=stores, queue=queue).operation
    assert (operation.state, queue.rung, queue.published) == (OperationState.QUEUED, 1, [])
    assert relay_outbox(queue, on=stores) == 1
    assert relay_outbox(queue, on=stores) == 0
    assert queue.published == [operation.operation_id]
    assert object_count(stores) == 1
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
    assert re.fullmatch(r"selfies/op_[0-9a-f]{32}/all-[0-9a-f]{16}", key), "it names nobody"


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
