"""Of several enrollments of a subject the one that was asked for last stays in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from recon_service.application.enrolling.enrollments import request_enrollment
from recon_service.application.enrolling.operations import get_operation, retry_dead
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.operations import EnrollmentOutcome, Operation, OperationState
from recon_service.application.records.templates import TemplateState
from recon_service.application.templates.subjects import activate_template, list_templates, load_template
from recon_service.domain.errors import FitFailed
from tests.unit.application.enrollments_support import ask, request, run
from tests.unit.application.stores import OUTCOME, ListQueue, ScriptedCompute, object_count


def standing(stores: Stores) -> dict[str | None, str]:
    return {t.operation_id: t.state.value for t in list_templates("ada", on=stores)}


def code(operation: Operation) -> str | None:
    return operation.problem.code if operation.problem else None


def test_an_enrollment_that_ends_after_a_later_one_does_not_replace_it(stores: Stores) -> None:
    first, second = ask(stores), ask(stores)
    latest = run(stores, second)
    overtaken = run(stores, first)
    assert (overtaken.state, code(overtaken)) == (OperationState.SUCCEEDED, "overtaken")
    assert standing(stores) == {first: "retired", second: "active"}
    assert load_template("ada", None, on=stores).template_id == latest.template_id
    assert object_count(stores) == 0
    activate_template("ada", overtaken.template_id, on=stores)
    assert standing(stores) == {first: "active", second: "retired"}, "operations may want it"
    third = run(stores, ask(stores))
    assert load_template("ada", None, on=stores).template_id == third.template_id


def test_a_dead_enrollment_that_is_tried_again_does_not_replace_a_later_one(stores: Stores) -> None:
    """The person has enrolled again meanwhile, and operations raise all that an outage has left."""

    def fail(_selfies: Sequence[bytes]) -> EnrollmentOutcome:
        raise FitFailed("diverged")

    dead = ask(stores)
    for _ in range(3):
        with pytest.raises(FitFailed):
            run(stores, dead, ScriptedCompute(fail))
    again = run(stores, ask(stores, keep_evidence=True), ScriptedCompute(evidence(b"of the second")))
    retry_dead(dead, on=stores, queue=ListQueue())
    run(stores, dead, ScriptedCompute(evidence(b"of the first")))
    assert standing(stores)[again.operation_id] == "active"
    assert code(get_operation(dead, on=stores)) == "overtaken"
    with stores.database.snapshot() as tx:
        kept = tx.kept_evidence.of("ada")
    assert kept is not None
    assert kept.template_id == again.template_id, "what the later one's consent keeps stays as well"


def evidence(content: bytes) -> object:
    return lambda _selfies: replace(OUTCOME, evidence=content)


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(hours=3)])
def test_the_order_is_not_that_of_the_clocks(stores: Stores, jump: timedelta) -> None:
    first = ask(stores)
    jumped = replace(stores, clock=lambda: utc_now() + jump)
    second = request_enrollment(request(), on=jumped, queue=ListQueue()).operation.operation_id
    run(stores, first)
    assert standing(stores) == {first: "active"}
    run(jumped, second)
    assert standing(stores) == {first: "retired", second: "active"}


def test_a_later_one_that_came_to_nothing_overtakes_nobody(stores: Stores) -> None:
    first, second = ask(stores), ask(stores)
    run(stores, second, ScriptedCompute(lambda _: EnrollmentOutcome((), None)))
    assert code(run(stores, first)) is None
    (template,) = list_templates("ada", on=stores)
    assert (template.operation_id, template.state) == (first, TemplateState.ACTIVE)
