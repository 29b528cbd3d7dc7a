"""Asking for the evaluation of a batch: by which ways its former templates and its candidates were made, to
be tried on the people of an evaluation set. Workers do it when nobody waits (``evaluation_runs.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from recon_service.application.keeping.audit import record
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import Material
from recon_service.application.records.evaluations import BatchEvaluation, EvaluationSet, EvaluationState, Way
from recon_service.application.records.operations import BACKENDS, LANDMARKS_ALONE
from recon_service.application.templates.sealing import open_template
from recon_service.domain.errors import Conflict, NotFound

if TYPE_CHECKING:
    from recon_service.domain.template import Template

LOOKED_AT: Final = 100
"""Candidates whose ways are counted: the most frequent one is tried."""


def evaluate_batch(
    batch_id: str, *, sets: Sequence[EvaluationSet], again: bool, actor: str, on: Stores
) -> list[BatchEvaluation]:
    """Put evaluations on record; those that are pending, or done by the same ways, stay as they are, unless
    they are asked for ``again``. Raises NotFound: no such batch, or no candidates; Conflict: there is no
    evaluation set.
    """
    if not sets:
        raise Conflict(
            "this service has no evaluation set",
            next_step="Set RECON_EVALUATION_PEOPLE, or RECON_EVALUATION_SET to a folder of recordings.",
        )
    former, candidate = _ways(batch_id, on)
    now = on.clock()
    with on.database.transaction() as tx:
        known = {one.evaluation_set: one for one in tx.evaluations.of_batch(batch_id)}
        begun = []
        for which in sets:
            before = known.get(which)
            unchanged = before is not None and (before.former, before.candidate) == (former, candidate)
            pending = before is not None and before.state is EvaluationState.PENDING
            if unchanged and (pending or (before and before.state is EvaluationState.DONE and not again)):
                continue
            tx.evaluations.put(BatchEvaluation(batch_id, which, former, candidate, now, now))
            begun.append(which.value)
        if begun:
            record(tx, on=on, action="batch.evaluated", actor=actor, object_id=batch_id, outcome=begun)
        return tx.evaluations.of_batch(batch_id)


def evaluations_of(batch_id: str, *, on: Stores) -> list[BatchEvaluation]:
    """Raises NotFound: there is no such batch."""
    with on.database.snapshot() as tx:
        if tx.batches.get(batch_id) is None:
            raise NotFound("there is no such batch", next_step="List them: GET /v1/batches.")
        return tx.evaluations.of_batch(batch_id)


def _ways(batch_id: str, on: Stores) -> tuple[Way, Way]:
    """Of the former templates and of the candidates: what most of a sample was made by."""
    with on.database.snapshot() as tx:
        batch = tx.batches.get(batch_id)
        if batch is None:
            raise NotFound("there is no such batch", next_step="List them: GET /v1/batches.")
        counted: Counter[tuple[Way, Way]] = Counter()
        for item in tx.batch_items.sample(batch_id, limit=LOOKED_AT):
            key = tx.subjects.key(item.subject_id)
            candidate = tx.templates.get(item.subject_id, item.template_id or "")
            if key is None or candidate is None or candidate.parent_id is None:
                continue
            row = tx.templates.get(item.subject_id, candidate.parent_id)
            if row is None:
                continue
            former = _way(open_template(row, key, on=on))
            made = _way(open_template(candidate, key, on=on))
            if item.material is not None and item.material is not Material.SELFIES:
                made = replace(made, material=item.material, parent=former)
            counted[former, made] += 1
    if not counted:
        raise NotFound("the batch has no candidates yet", next_step="Wait until items have succeeded.")
    return counted.most_common(1)[0][0]


def _way(template: Template) -> Way:
    named = template.provenance[0].backend.rpartition("+")[2] if template.provenance else ""
    backend = named if named in BACKENDS else LANDMARKS_ALONE
    return Way(template.model, template.calibration, backend)
