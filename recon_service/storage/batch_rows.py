"""Batches and items as rows, and whom a selection selects."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recon_service.application.records.batches import (
    Batch,
    BatchItem,
    BatchState,
    BatchTarget,
    ItemState,
    Material,
    Selection,
    Standing,
)
from recon_service.application.records.templates import TemplateState
from recon_service.storage import tables as t
from recon_service.storage.batch_tables import batch_items, kept_evidence

_i = batch_items.c
IN_FORCE = t.templates.alias("in_force")


class Selected:
    """The subjects of a selection: what to read from, and the conditions on it."""

    def __init__(self, selection: Selection, moment: datetime) -> None:
        s, m = t.subjects, t.templates
        active = (m.c.subject_id == s.c.subject_id) & (m.c.state == TemplateState.ACTIVE.value)
        self.source = s.join(m, active)
        self.columns = (m.c.model, m.c.calibration)
        # Who comes later is no part of it. Who is enrolled anew is, and is left out when the turn comes.
        conditions = [s.c.created_at <= moment]
        if selection.subjects is not None:
            conditions.append(s.c.subject_id.in_(selection.subjects))
        if selection.model is not None:
            conditions.append(m.c.model == selection.model)
        if selection.calibration is not None:
            conditions.append(m.c.calibration == selection.calibration)
        if selection.made_before is not None:
            conditions.append(m.c.created_at < selection.made_before)
        if selection.quality_below is not None:
            conditions.append(m.c.quality < selection.quality_below)
        self.conditions = conditions


def selected_by(batch: Batch) -> sa.Select[str]:
    """Ids of a batch's subjects."""
    of = Selected(batch.selection, batch.moment)
    return sa.select(t.subjects.c.subject_id).select_from(of.source).where(*of.conditions)


def in_force(subject: sa.ColumnElement[str] | str) -> tuple[sa.ColumnElement[bool], ...]:
    """The template in force of a subject, whose ``enrolled_by`` is the operation of whose pictures it was
    made, directly or by derivation. What was kept of another one, replaced or held back, must not come into
    force by a batch.
    """
    return IN_FORCE.c.subject_id == subject, IN_FORCE.c.state == TemplateState.ACTIVE.value


def selfies_of_template() -> sa.ColumnElement[bool]:
    """Whether selfies were kept of the enrollment that a joined template stands on."""
    return sa.exists().where(t.selfies.c.operation_id == t.templates.c.enrolled_by).correlate(t.templates)


def evidence_of_template() -> sa.ColumnElement[bool]:
    """Whether evidence was kept of it."""
    e, m = kept_evidence.c, t.templates.c
    ours = (e.subject_id == m.subject_id) & (e.enrolled_by == m.enrolled_by)
    return sa.exists().where(ours).correlate(t.templates)


def keeps_selfies(subject: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether selfies of the enrollment in force were kept."""
    return sa.exists().where(*in_force(subject), IN_FORCE.c.enrolled_by == t.selfies.c.operation_id)


def keeps_evidence(subject: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether evidence of the enrollment in force was kept."""
    e = kept_evidence.c
    return sa.exists().where(
        *in_force(subject), e.subject_id == subject, IN_FORCE.c.enrolled_by == e.enrolled_by
    )


def is_open() -> sa.ColumnElement[bool]:
    """Without an end."""
    return _i.state.in_((ItemState.WAITING.value, ItemState.RUNNING.value))


def is_held(batch_id: str, token: str) -> sa.ColumnElement[bool]:
    """By this claim."""
    running = _i.state == ItemState.RUNNING.value
    return (_i.batch_id == batch_id) & running & (_i.claim_token == token)


def batch_row(batch: Batch) -> dict[str, Any]:
    """As it is stored."""
    row = {name: getattr(batch, name) for name in Batch.__slots__}
    chosen = asdict(batch.selection)
    if batch.selection.made_before is not None:
        chosen["made_before"] = batch.selection.made_before.isoformat()
    if batch.selection.subjects is not None:
        # Their items are made with the batch: to repeat ten thousand names in its row would serve nobody.
        chosen |= {"subjects": None, "listed": len(batch.selection.subjects)}
    return {**row, "state": batch.state.value, "selection": chosen, "target": asdict(batch.target)}


def batch_of(row: sa.Row[Any]) -> Batch:
    """From a row."""
    values = dict(row._mapping)
    del values["counts"]
    chosen = dict(values["selection"])
    if chosen["made_before"] is not None:
        chosen["made_before"] = datetime.fromisoformat(chosen["made_before"])
    target = dict(values["target"])
    target["materials"] = tuple(Material(m) for m in target["materials"])
    values |= {"selection": Selection(**chosen), "target": BatchTarget(**target)}
    return Batch(**{**values, "state": BatchState(values["state"])})


def item_of(row: sa.Row[Any]) -> BatchItem:
    """From a row."""
    values = {k: v for k, v in row._mapping.items() if k not in ("claim_token", "at")}
    return replace(
        BatchItem(**values),
        state=ItemState(values["state"]),
        standing=Standing(values["standing"]) if values["standing"] else None,
        material=Material(values["material"]) if values["material"] else None,
    )
