"""Whether the promises of the ledger were kept: database, object store and audit log, compared with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recon_service.application.keeping import audit_ends, revocations, withdrawals
from recon_service.application.keeping.audit import operation_digest
from recon_service.application.ports.stores import Stores
from recon_service.application.templates import tombstones
from recon_service.application.templates.subjects import load_template
from recon_service.domain.errors import ReconError
from recon_service.storage import tables as t
from tests.chaos.ledger import Ledger
from tests.integration.running import ENDED

NOTES = (tombstones.PREFIX, revocations.PREFIX, withdrawals.PREFIX, audit_ends.PREFIX)
"""What outlives whom it speaks of, and has no row."""


@dataclass(frozen=True)
class Found:
    """See ``ledger.Report``. states, attempts: of all operations."""

    lost: int
    twice: int
    orphans: int
    back: int
    changed: int
    unreadable: int
    log_intact: bool
    states: Counter[str]
    attempts: Counter[str]


def audit(ledger: Ledger, engine: sa.Engine, stores: Stores) -> Found:
    """Everything is looked at as it lies there, past the service's own code where that is about counting."""
    with engine.connect() as connection:
        operations = connection.execute(sa.select(t.operations)).all()
        templates = connection.execute(sa.select(t.templates)).all()
        keys = set(connection.scalars(sa.select(t.subject_keys.c.subject_id)))
        subjects = set(connection.scalars(sa.select(t.subjects.c.subject_id)))
        owned = set(connection.scalars(sa.select(t.selfies.c.object_key)))
        loose = connection.scalar(sa.select(sa.func.count()).select_from(t.loose_objects)) or 0
    by_id = {o.operation_id: o for o in operations}
    lost = sum(o.state not in ENDED for o in operations)
    for subject, location in ledger.kept.items():
        row = by_id.get(_id(location))
        lost += row is None or row.subject_id != subject
    with stores.database.snapshot() as tx:
        told = Counter(entry.object_id for entry in tx.audit.entries(action="enrollment.ended"))
    # Everything in the store: what is under no name that is known here is an orphan too.
    stored = {key for key in stores.objects.list_keys() if not key.startswith(NOTES)}
    dead = {o.operation_id for o in operations if o.dead_at is not None}
    kept = {key for key in owned if key.split("/")[1] in dead}
    spoken_of = {o.subject_id for o in operations} | {row.subject_id for row in templates}
    there = keys | subjects | spoken_of
    return Found(
        lost=lost,
        twice=_twice(operations, templates)
        + sum(count > 1 for count in told.values())
        + _untold(operations, told, stores),
        orphans=len(stored ^ owned)
        + len(owned - kept)
        + loose
        + len(keys ^ subjects)
        + len(subjects - spoken_of),
        back=len(ledger.deleted & there),
        changed=sum(
            _id(place) not in by_id or by_id[_id(place)].state != state
            for place, state in ledger.ends.items()
            if place in ledger.kept.values()
        ),
        unreadable=sum(not _opens(o, stores) for o in operations if o.state == "succeeded"),
        log_intact=audit_ends.check_audit(on=stores).broken is None,
        states=Counter(o.state for o in operations),
        attempts=Counter(str(o.attempts) for o in operations),
    )


Rows = Sequence[sa.Row[Any]]


def _twice(operations: Rows, templates: Rows) -> int:
    """Every subject here enrolls once: one operation, one template, and they name each other."""
    expected = {o.operation_id: o.template_id for o in operations if o.state == "succeeded"}
    per_operation = Counter(row.operation_id for row in templates)
    found = sum(count > 1 for count in Counter(o.subject_id for o in operations).values())
    found += sum(count > 1 for count in per_operation.values())
    found += sum(expected.get(row.operation_id) != row.template_id for row in templates)
    return found + sum(operation_id not in per_operation for operation_id in expected)


def _untold(operations: Rows, told: Counter[str], stores: Stores) -> int:
    """Ends that the audit log does not know."""
    return sum(
        told[operation_digest(o.operation_id, on=stores)] != 1
        for o in operations
        if o.state in ("succeeded", "rejected")
    )


def _opens(operation: sa.Row[Any], stores: Stores) -> bool:
    try:
        template = load_template(operation.subject_id, None, on=stores)
    except ReconError:
        return False
    return template.template_id == operation.template_id and template.subject_id == operation.subject_id


def _id(location: str) -> str:
    return location.rsplit("/", 1)[-1]
