"""What every database does for the judgment of a batch: recent probes, and evaluations with what they saw."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from recon_service.application.ports.database import Database
from recon_service.application.records.batches import Batch, BatchState, BatchTarget, Material, Selection
from recon_service.application.records.evaluations import (
    BatchEvaluation,
    EvaluationSet,
    EvaluationState,
    ObservationKey,
    Way,
)
from recon_service.application.records.probes import SealedProbe
from tests.contract.databases import NOW, database, with_subject

__all__ = ["database"]

FORMER = Way("model-1", "table-1", "facemesh")
CANDIDATE = Way("model-2", "table-2", "deca", Material.EVIDENCE, FORMER)
SECOND = timedelta(seconds=1)
KEY = ObservationKey("s" * 64, FORMER.key, "c" * 64)


def test_of_every_subject_the_newest_probes_stay_until_they_end(database: Database) -> None:
    for subject in ("ada", "bea"):
        with_subject(database, subject, operations=0)
        for n in range(5):
            with database.transaction() as tx:
                probe = SealedProbe(f"{subject}{n}", subject, NOW + n * SECOND, bytes([n]))
                tx.recent_probes.keep(probe, most=3)
    with database.snapshot() as tx:
        found = tx.recent_probes.of("ada")
    assert [(p.probe_id, p.sealed) for p in found] == [("ada4", b"\4"), ("ada3", b"\3"), ("ada2", b"\2")]
    assert found[0].seen_at == NOW + 4 * SECOND
    with database.transaction() as tx:
        tx.recent_probes.keep(SealedProbe("ada5", "ada", NOW + 5 * SECOND, b"5"), most=1)
    with database.transaction() as tx:
        assert [p.probe_id for p in tx.recent_probes.of("ada")] == ["ada5"]
        assert tx.recent_probes.expire(before=NOW + 3 * SECOND, limit=9) == 1
        assert [p.probe_id for p in tx.recent_probes.of("bea")] == ["bea4", "bea3"]
        assert tx.recent_probes.forget("bea") == 2
        assert tx.recent_probes.of("bea") == []
    with database.transaction() as tx:
        assert tx.subjects.erase("ada") is not None
        assert tx.recent_probes.of("ada") == []


def add_batch(database: Database, batch_id: str = "batch-1") -> None:
    batch = Batch(
        batch_id, BatchState.READY, Selection(everybody=True), BatchTarget(), 5, "ops", NOW, NOW, expected=1
    )
    with database.transaction() as tx:
        tx.batches.add(batch)


def evaluation(which: EvaluationSet = EvaluationSet.SIMULATED, *, later: int = 0) -> BatchEvaluation:
    asked = NOW + later * SECOND
    return BatchEvaluation("batch-1", which, FORMER, CANDIDATE, asked, asked)


def test_an_evaluation_is_held_by_one_worker_until_it_falls_silent(database: Database) -> None:
    add_batch(database)
    with database.transaction() as tx:
        assert not tx.evaluations.waits(now=NOW, stale_before=NOW)
        tx.evaluations.put(evaluation(EvaluationSet.REAL, later=1))
        tx.evaluations.put(evaluation())
    long_ago, soon = NOW - SECOND, NOW + 10 * SECOND

    def take(token: str, stale_before: object = long_ago) -> BatchEvaluation | None:
        with database.transaction() as tx:
            return tx.evaluations.take(token=token, now=NOW, stale_before=stale_before)  # type: ignore[arg-type]

    first, second = take("one"), take("two")
    assert (first, second) == (evaluation(), evaluation(EvaluationSet.REAL, later=1))
    assert first is not None
    assert take("three") is None
    with database.snapshot() as tx:
        assert not tx.evaluations.waits(now=NOW, stale_before=long_ago)
        assert tx.evaluations.waits(now=NOW, stale_before=soon)
    assert take("four", soon) == first
    under_way = replace(first, done=3, total=9, updated_at=soon)
    with database.transaction() as tx:
        assert not tx.evaluations.save(under_way, token="one"), "somebody else has it now"
        assert tx.evaluations.save(under_way, token="four")
        assert not tx.evaluations.save(under_way, token="four"), "it was let go"
    assert take("five") == under_way
    failed = replace(under_way, state=EvaluationState.FAILED, reason="weights-missing", next_step="Pull.")
    with database.transaction() as tx:
        assert tx.evaluations.save(failed, token="five")
        assert [one.evaluation_set for one in tx.evaluations.of_batch("batch-1")] == [*EvaluationSet]
        assert tx.evaluations.of_batch("batch-1")[0] == failed
        assert tx.evaluations.of_batch("batch-2") == []
    assert take("six") is None
    with database.transaction() as tx:
        tx.evaluations.put(evaluation(later=2))  # asked for anew
    assert take("seven") == evaluation(later=2)
    with database.transaction() as tx:  # somebody whose clock was ahead took it, and died
        hours = timedelta(hours=3)
        assert tx.evaluations.take(token="eight", now=NOW + hours, stale_before=NOW + hours) is not None
    assert take("nine", NOW - timedelta(minutes=6)) is not None


def test_what_was_seen_of_a_set_is_kept_once_and_while_it_is_needed(database: Database) -> None:
    other = replace(KEY, code="d" * 64)
    with database.transaction() as tx:
        for person in range(3):
            tx.evaluations.keep_observation(KEY, person, bytes([person]), now=NOW)
        tx.evaluations.keep_observation(KEY, 1, b"again", now=NOW)
        tx.evaluations.keep_observation(other, 0, b"other", now=NOW)
    with database.snapshot() as tx:
        assert tx.evaluations.observed(KEY) == {0, 1, 2}
        assert tx.evaluations.observation(KEY, 1) == b"\1"
        assert tx.evaluations.observation(KEY, 3) is None
        # Another version of the code: only one that saw everybody, and before that moment.
        assert tx.evaluations.other_code(other, people=3, before=NOW + SECOND) == KEY.code
        assert tx.evaluations.other_code(other, people=3, before=NOW) is None
        assert tx.evaluations.other_code(KEY, people=3, before=NOW + SECOND) is None
    with database.transaction() as tx:
        tx.evaluations.use_observations(KEY, now=NOW + 2 * SECOND)
        assert tx.evaluations.expire_observations(before=NOW + SECOND, limit=9) == 1
        assert tx.evaluations.observed(KEY) == {0, 1, 2}
        assert tx.evaluations.observed(other) == set()
