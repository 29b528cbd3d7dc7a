"""The use case behind the viewer: what a template says, with the selfies that are kept and with a depth
capture that somebody brings. Each look goes to the audit log, for it shows a face.
"""

from __future__ import annotations

from recon_service.application.keeping.audit import SERVICE, record_alone
from recon_service.application.keeping.selfies import open_selfies
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.stores import Stores
from recon_service.application.records.inspections import Inspection
from recon_service.application.records.visits import KioskVisit
from recon_service.application.templates.subjects import load_template
from recon_service.domain.errors import StorageFault


def inspect_template(
    subject_id: str,
    template_id: str,
    *,
    on: Stores,
    compute: Compute,
    selfies: bool = False,
    visit: KioskVisit | None = None,
    actor: str = SERVICE,
) -> Inspection:
    """selfies: with those that consent keeps. visit: compared with the template; nothing of it is kept.

    Raises NotFound, ModelMismatch, DepthRejected, ImageRejected, StorageFault.
    """
    template = load_template(subject_id, template_id, on=on)
    kept = _kept_selfies(subject_id, template_id, on) if selfies else ()
    shown = [*(["selfies"] if kept else []), *(["visit"] if visit else [])]
    record_alone(
        on=on,
        action="template.inspected",
        actor=actor,
        subject_id=subject_id,
        object_id=template_id,
        outcome=" ".join(shown),
    )
    return compute.inspect(template, kept, visit)


def _kept_selfies(subject_id: str, template_id: str, on: Stores) -> tuple[bytes, ...]:
    with on.database.snapshot() as tx:
        row, key = tx.templates.get(subject_id, template_id), tx.subjects.key(subject_id)
        operation = tx.operations.get(row.operation_id) if row is not None and row.operation_id else None
        if operation is None or key is None or not operation.keep_selfies:
            return ()
        stored = tx.selfies.of(operation.operation_id)
    try:
        return tuple(open_selfies(stored, key, on=on))
    except StorageFault:
        return ()  # what consent kept went meanwhile; the rest of the template is there
