"""Working on evaluations of batches: one person by one way a turn, so that whatever is more urgent comes in
between, and a worker that dies loses one person's work. What was seen of a person is kept, encrypted: the
next evaluation by that way finds it, and only compares.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from recon_service.application.computing.probe_format import probe_bytes, read_probe
from recon_service.application.errors import Overloaded, StorageUnavailable
from recon_service.application.keeping.audit import SERVICE, record
from recon_service.application.keeping.pages import in_pages
from recon_service.application.keeping.service_keys import service_key
from recon_service.application.ports.evaluations import Evaluating
from recon_service.application.ports.stores import Stores
from recon_service.application.ports.vault import SubjectCipher
from recon_service.application.records.evaluations import (
    OBSERVATION_PLACE,
    BatchEvaluation,
    EvaluationState,
    ObservationKey,
    PersonObserved,
    SetFacts,
    SideObserved,
    Way,
)
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.probes import ProbeSeen, RecentProbe
from recon_service.application.reenrolling.batch_runs import people_wait
from recon_service.domain.errors import CallerError, ReconError, StorageFault, WeightsUnavailable
from recon_service.domain.template import Decision

if TYPE_CHECKING:
    from recon_service.domain.template import Template

EVALUATION_KEY: Final = "evaluation"
"""Of the service's keys: that of the people of evaluation sets."""
SILENCE: Final = timedelta(minutes=6)
"""One person takes seconds, and is given up after five minutes; after so long whoever looked is dead."""
ATTEMPTS: Final = 3
_NEVER: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SIZE: Final = struct.Struct("<I")


def work_on_evaluations(*, on: Stores, compute: Evaluating, yields_after: timedelta) -> bool:
    """One turn: a person by a way, or the end of an evaluation. False: there was nothing to do, or people
    wait. Raises StorageFault.
    """
    now = on.clock()
    with on.database.snapshot() as tx:
        if not tx.evaluations.waits(now=now, stale_before=now - SILENCE):
            return False
    if people_wait(on=on, longer_than=yields_after):
        return False
    token = new_id("claim")
    with on.database.transaction() as tx:
        taken = tx.evaluations.take(token=token, now=now, stale_before=now - SILENCE)
    if taken is None:
        return False
    try:
        after = _advanced(taken, on, compute)
    except (StorageUnavailable, Overloaded):
        after = taken  # no fault of the evaluation: it waits
    except Exception as fault:
        after = _failed(taken, fault)
    after = replace(after, updated_at=on.clock())
    with on.database.transaction() as tx:
        if tx.evaluations.save(after, token=token) and after.state is not EvaluationState.PENDING:
            said = (after.evaluation_set.value, after.state.value, *([after.reason] if after.reason else []))
            record(
                tx, on=on, action="evaluation.ended", actor=SERVICE, object_id=after.batch_id, outcome=said
            )
    return True


def forget_observations(*, on: Stores, older_than: timedelta) -> int:
    """Of people of evaluation sets: what no evaluation has needed for so long; how many."""
    before = on.clock() - older_than
    return in_pages(lambda tx, limit: tx.evaluations.expire_observations(before=before, limit=limit), on=on)


def _advanced(evaluation: BatchEvaluation, on: Stores, compute: Evaluating) -> BatchEvaluation:
    facts = compute.evaluation_facts(evaluation.evaluation_set)
    sides = _sides(evaluation, facts, on)
    total = len(sides) * facts.people
    with on.database.snapshot() as tx:
        known = {key: tx.evaluations.observed(key) for _, key in sides.values()}
    done = sum(len(people) for people in known.values())
    # Person by person, both ways of one after the other: its pictures are made once.
    missing = (
        (way, key, person)
        for person in range(facts.people)
        for way, key in sides.values()
        if person not in known[key]
    )
    if (found := next(missing, None)) is not None:
        way, key, person = found
        seen = compute.evaluation_person(evaluation.evaluation_set, person, way)
        sealed = _cipher(on).seal(_to_bytes(seen, on), place=OBSERVATION_PLACE, row=_row(key, person))
        with on.database.transaction() as tx:
            tx.evaluations.keep_observation(key, person, sealed, now=on.clock())
        return replace(evaluation, done=done + 1, total=total, attempts=0)
    candidate = _side(*sides["candidate"], facts, on)
    former = _side(*sides["former"], facts, on) if "former" in sides else candidate
    outcome = compute.evaluation_outcome(facts, former, candidate)
    return replace(evaluation, state=EvaluationState.DONE, outcome=outcome, done=total, total=total)


_Sides = dict[str, tuple[Way, ObservationKey]]
"""By "former" and "candidate"; the candidate alone where both are one."""


def _sides(evaluation: BatchEvaluation, facts: SetFacts, on: Stores) -> _Sides:
    """Where both ways are one, other code that looked at the same people before the batch stands for the
    former; where there was none, both sides are one.
    """
    former, candidate = (
        (way, ObservationKey(facts.key, way.key, facts.code))
        for way in (evaluation.former, evaluation.candidate)
    )
    if former == candidate:
        with on.database.snapshot() as tx:
            batch = tx.batches.get(evaluation.batch_id)
            before = batch.moment if batch is not None else evaluation.asked_at
            code = tx.evaluations.other_code(candidate[1], people=facts.people, before=before)
        if code is None:
            return {"candidate": candidate}
        former = (former[0], replace(former[1], code=code))
    return {"former": former, "candidate": candidate}


def _side(way: Way, key: ObservationKey, facts: SetFacts, on: Stores) -> SideObserved:
    cipher, people = _cipher(on), []
    with on.database.transaction() as tx:
        tx.evaluations.use_observations(key, now=on.clock())
        for person in range(facts.people):
            sealed = tx.evaluations.observation(key, person)
            if sealed is None:
                raise StorageFault("what was seen of an evaluation set is gone", next_step="It is made anew.")
            people.append(
                _from_bytes(cipher.open(sealed, place=OBSERVATION_PLACE, row=_row(key, person)), on)
            )
    return SideObserved(way, key.code, tuple(people))


def _failed(evaluation: BatchEvaluation, fault: Exception) -> BatchEvaluation:
    """Another attempt, unless the fault will not go away or the attempts are used up."""
    attempts = evaluation.attempts + 1
    lasting = isinstance(fault, CallerError | WeightsUnavailable)
    if not lasting and attempts < ATTEMPTS:
        return replace(evaluation, attempts=attempts)
    known = fault if isinstance(fault, ReconError) else None
    return replace(
        evaluation,
        state=EvaluationState.FAILED,
        attempts=attempts,
        reason=known.code if known else "internal-fault",
        next_step=(known.next_step if known else "Look at the log of the worker.")[:500],
    )


def _row(key: ObservationKey, person: int) -> str:
    return f"{key.set_key}/{key.way_key}/{key.code}/{person}"


def _cipher(on: Stores) -> SubjectCipher:
    """Of the service's own key for that. Raises StorageFault."""
    return on.vault.cipher(service_key(EVALUATION_KEY, on=on))


def _to_bytes(seen: PersonObserved, on: Stores) -> bytes:
    """Two lists, each with its length and every entry with its size; an empty one is None."""
    references = [b"" if one is None else on.template_format.write(one) for one in seen.references]
    probes = [b"" if one is None else probe_bytes(_as_kept(one)) for one in seen.probes]
    packed = []
    for entries in (references, probes):
        packed += [_SIZE.pack(len(entries)), *(_SIZE.pack(len(e)) + e for e in entries)]
    return b"".join(packed)


def _from_bytes(content: bytes, on: Stores) -> PersonObserved:
    lists: list[list[bytes]] = []
    at = 0
    for _ in range(2):
        (count,) = _SIZE.unpack_from(content, at)
        at += _SIZE.size
        entries = []
        for _ in range(count):
            (size,) = _SIZE.unpack_from(content, at)
            at += _SIZE.size
            entries.append(content[at : at + size])
            at += size
        lists.append(entries)
    references: Sequence[Template | None] = [on.template_format.read(e) if e else None for e in lists[0]]
    probes = [read_probe(e).seen if e else None for e in lists[1]]
    return PersonObserved(tuple(references), tuple(probes))


def _as_kept(seen: ProbeSeen) -> RecentProbe:
    return RecentProbe("", _NEVER, seen, "", "", Decision.INCONCLUSIVE, 0.0)
