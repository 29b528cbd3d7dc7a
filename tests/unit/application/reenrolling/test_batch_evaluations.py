"""Evaluations of a batch: one person a turn, found again by whoever asks again, and after everything else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from recon_service.application.computing.evaluation_people import NEVER
from recon_service.application.errors import ComputeFault, StorageUnavailable
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import BatchTarget, Material, Selection
from recon_service.application.records.evaluations import (
    BatchEvaluation,
    Difference,
    EvaluationOutcome,
    EvaluationSet,
    EvaluationState,
    Figure,
    PersonObserved,
    SetFacts,
    SideFigures,
    SideObserved,
    Way,
)
from recon_service.application.records.operations import Operation, OperationState
from recon_service.application.records.probes import ProbeSeen
from recon_service.application.records.subjects import WrappedKey
from recon_service.application.reenrolling.batch_comparison import compare_batch
from recon_service.application.reenrolling.batch_evaluations import evaluate_batch, evaluations_of
from recon_service.application.reenrolling.batches import submit_batch
from recon_service.application.reenrolling.evaluation_runs import (
    SILENCE,
    forget_observations,
    work_on_evaluations,
)
from recon_service.domain.errors import Conflict, InvalidValue, NotFound, WeightsUnavailable
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Provenance, Template
from tests.stacks import Embedded
from tests.unit.application.batches_support import add_subjects, work
from tests.unit.application.computing.test_version_comparison import Compares
from tests.unit.application.stores import open_in

PEOPLE = 3
SIMULATED = (EvaluationSet.SIMULATED,)
AT_ONCE = timedelta(seconds=1)
RATE = Figure(0.1, 0.0, 0.2)


def figures(side: SideObserved) -> SideFigures:
    return SideFigures(side.way, "table", side.code, PEOPLE, 0, PEOPLE, 1, RATE, RATE, RATE, RATE, RATE)


@dataclass
class Looks:
    """Sees the same of everybody, and counts."""

    code: str = "code-1"
    seen: list[tuple[int, Way]] = field(default_factory=list)
    sides: list[tuple[SideObserved, SideObserved]] = field(default_factory=list)
    fault: Exception | None = None

    def evaluation_facts(self, which: EvaluationSet) -> SetFacts:
        if which is EvaluationSet.REAL:
            raise InvalidValue("there is no such folder", next_step="Make it.")
        return SetFacts("made", "k" * 64, PEOPLE, "image5-depth3", (), self.code)

    def evaluation_person(self, which: EvaluationSet, person: int, way: Way) -> PersonObserved:
        if self.fault is not None:
            raise self.fault
        self.seen.append((person, way))
        posterior = IdentityPosterior("space", np.array([person + 0.5, 0.0]), np.eye(2))
        made = (Provenance("selfies", "facemesh468", NEVER),)
        template = Template("", "", posterior, "selfies", way.model, "table", made, 80.0, NEVER)
        return PersonObserved((template,), (ProbeSeen(posterior, "generic", 3), None))

    def evaluation_outcome(
        self, facts: SetFacts, former: SideObserved, candidate: SideObserved
    ) -> EvaluationOutcome:
        self.sides.append((former, candidate))
        sides, differences = (
            (figures(former), figures(candidate)),
            (Difference("eer", 0.0, -0.1, 0.1, False),),
        )
        return EvaluationOutcome(
            "made", (), facts.row, PEOPLE, 3, 6, "policy", None, False, *sides, differences
        )


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """Embedded: what the other database does is in tests/contract/test_judging_a_batch.py."""
    opened = open_in(tmp_path / "state", Embedded())
    add_subjects(opened.stores, ["ada", "bea", "cay"])
    yield opened.stores
    opened.close()


def batch_of(stores: Stores) -> str:
    target = BatchTarget(materials=(Material.POSTERIOR,))
    batch, _ = submit_batch(Selection(everybody=True), target, priority=5, actor="ops", on=stores)
    work(stores)
    return batch.batch_id


def ask(
    stores: Stores, batch_id: str, *, sets: tuple[EvaluationSet, ...] = SIMULATED, again: bool = False
) -> list[BatchEvaluation]:
    return evaluate_batch(batch_id, sets=sets, again=again, actor="ops", on=stores)


def turns(stores: Stores, compute: Looks, *, most: int = 100) -> int:
    for turn in range(most):
        if not work_on_evaluations(on=stores, compute=compute, yields_after=AT_ONCE):
            return turn
    return most


def state(stores: Stores, batch_id: str) -> BatchEvaluation:
    (found,) = evaluations_of(batch_id, on=stores)
    return found


def test_a_person_a_turn_and_nobody_twice(stores: Stores) -> None:
    batch_id = batch_of(stores)
    assert turns(stores, Looks()) == 0
    (asked,) = ask(stores, batch_id)
    assert asked.former == Way("model-1", "table-1@9876", "facemesh")
    assert asked.candidate == Way("model-2", "table-2@0123", "facemesh", Material.POSTERIOR, asked.former)
    first = Looks()
    turns(stores, first, most=4)
    found = state(stores, batch_id)
    assert (found.state, found.done, found.total) == (EvaluationState.PENDING, 4, 6)
    # Another worker goes on; both ways of a person are looked at one after the other.
    second = Looks()
    assert turns(stores, second) == 3
    looked = [*first.seen, *second.seen]
    assert looked == [(n, way) for n in range(PEOPLE) for way in (asked.former, asked.candidate)]
    found = state(stores, batch_id)
    assert (found.state, found.done) == (EvaluationState.DONE, 6)
    ((former, candidate),) = second.sides
    assert [side.way for side in (former, candidate)] == [asked.former, asked.candidate]
    for number, person in enumerate(former.people):
        (template,), (probe, nothing) = person.references, person.probes
        assert template is not None
        assert probe is not None
        assert nothing is None
        assert template.posterior.mean[0] == probe.posterior.mean[0] == number + 0.5

    assert ask(stores, batch_id) == [found], "what is done stays"
    assert ask(stores, batch_id, again=True)[0].state is EvaluationState.PENDING
    third = Looks()
    assert turns(stores, third) == 1
    assert third.seen == []
    comparison = compare_batch(batch_id, on=stores, compute=Compares(), actor="ops")  # type: ignore[arg-type]
    assert comparison.evaluations == tuple(evaluations_of(batch_id, on=stores))
    with stores.database.snapshot() as tx:
        assert len(list(tx.audit.entries(action="batch.evaluated"))) == 2
        assert [e.outcome for e in tx.audit.entries(action="evaluation.ended")] == ["simulated done"] * 2
        key = tx.wrapped_keys.service_key("evaluation")
    assert isinstance(key, WrappedKey)


def test_what_cannot_be_done_says_why(stores: Stores) -> None:
    batch_id = batch_of(stores)
    with pytest.raises(Conflict, match="no evaluation set"):
        ask(stores, batch_id, sets=())
    with pytest.raises(NotFound):
        ask(stores, "batch_none")
    ask(stores, batch_id, sets=(EvaluationSet.REAL,))
    assert turns(stores, Looks()) == 1
    found = state(stores, batch_id)
    assert (found.state, found.reason, found.next_step) == (
        EvaluationState.FAILED,
        "invalid-value",
        "Make it.",
    )


@pytest.mark.parametrize(
    ("fault", "attempts", "reason"),
    [
        (WeightsUnavailable("gone", next_step="Pull."), 1, WeightsUnavailable.code),
        (ComputeFault("it died"), 3, ComputeFault.code),
        (ZeroDivisionError(), 3, "internal-fault"),
    ],
)
def test_faults_end_it_at_once_or_after_some_attempts(
    stores: Stores, fault: Exception, attempts: int, reason: str
) -> None:
    batch_id = batch_of(stores)
    ask(stores, batch_id)
    assert turns(stores, Looks(fault=fault)) == attempts
    assert (state(stores, batch_id).state, state(stores, batch_id).reason) == (EvaluationState.FAILED, reason)
    # Asked again, it begins anew.
    assert ask(stores, batch_id)[0].state is EvaluationState.PENDING
    turns(stores, Looks())
    assert state(stores, batch_id).state is EvaluationState.DONE


def test_a_store_that_is_away_costs_no_attempt(stores: Stores) -> None:
    batch_id = batch_of(stores)
    ask(stores, batch_id)
    turns(stores, Looks(fault=StorageUnavailable("away")), most=9)
    assert (state(stores, batch_id).state, state(stores, batch_id).attempts) == (EvaluationState.PENDING, 0)


def test_people_who_wait_go_first(stores: Stores) -> None:
    batch_id = batch_of(stores)
    ask(stores, batch_id)
    long_ago = stores.clock() - timedelta(minutes=1)
    waiting = Operation("op_1", "ada", OperationState.QUEUED, "c", False, long_ago, long_ago)
    with stores.database.transaction() as tx:
        tx.operations.add(waiting, [])
    assert turns(stores, Looks()) == 0
    assert state(stores, batch_id).done == 0


def test_one_way_is_compared_with_what_other_code_saw_before(stores: Stores) -> None:
    first = batch_of(stores)
    ask(stores, first)
    turns(stores, Looks())
    with stores.database.transaction() as tx:
        tx.evaluations.put(
            replace(
                state(stores, first), candidate=state(stores, first).former, state=EvaluationState.PENDING
            )
        )
    alone = Looks()
    assert turns(stores, alone) == 1
    assert alone.sides[0][0] is alone.sides[0][1], "one code has seen them, so both sides are one"

    batch_id = batch_of(stores)  # after that, and by newer code
    former = state(stores, first).former
    with stores.database.transaction() as tx:
        tx.evaluations.put(
            BatchEvaluation(batch_id, EvaluationSet.SIMULATED, former, former, stores.clock(), stores.clock())
        )
    newer = Looks(code="code-2")
    assert turns(stores, newer) == PEOPLE + 1
    ((before, after),) = newer.sides
    assert (before.code, after.code) == ("code-1", "code-2")


def test_what_no_evaluation_needs_is_forgotten(stores: Stores) -> None:
    batch_id = batch_of(stores)
    ask(stores, batch_id)
    turns(stores, Looks())
    assert forget_observations(on=stores, older_than=timedelta(minutes=1)) == 0
    later = replace(stores, clock=lambda: stores.clock() + timedelta(days=31))
    assert forget_observations(on=later, older_than=timedelta(days=30)) == 2 * PEOPLE
    assert timedelta(0) < SILENCE
