"""Templates from one service to another: a page of subjects out, one template after the other in.

A file may be imported twice, or up to the point where it broke off: every template is a transaction, and one
that is already there, bit-equal, is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from recon_service.application.errors import ExchangeFileRefused
from recon_service.application.keeping.audit import SERVICE, record, record_alone
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.consents import Consent
from recon_service.application.records.exchange import (
    ExchangedTemplate,
    ExchangeFile,
    ImportReport,
    RefusedTemplate,
)
from recon_service.application.records.identifiers import check_subject_id, new_id
from recon_service.application.records.templates import SealedTemplate, TemplateOrigin, TemplateState
from recon_service.application.templates.sealing import TEMPLATE_PLACE
from recon_service.domain.errors import Conflict, InvalidValue, StorageFault

ALREADY_THERE = "already-there"


@dataclass(frozen=True, slots=True)
class Page:
    """Subjects of one file. after: where the next page begins; None: this is the last."""

    subject_ids: tuple[str, ...]
    after: str | None


def page_of_subjects(*, on: Stores, after: str = "", limit: int) -> Page:
    """In the order of their ids."""
    with on.database.snapshot() as tx:
        found = tx.subjects.page(after=after, limit=limit)
    names = tuple(subject_id for subject_id, _ in found)
    return Page(names, names[-1] if len(names) == limit else None)


def export_templates(
    subject_ids: Sequence[str], *, on: Stores, all_versions: bool = False, actor: str = SERVICE
) -> Iterator[ExchangedTemplate]:
    """Decrypted, one subject after the other; those who are not there (any more) are left out. Each subject
    is in the audit log before any of its templates is handed out.
    """
    for subject_id in subject_ids:
        check_subject_id(subject_id)
        with on.database.snapshot() as tx:
            key = tx.subjects.key(subject_id)
            found = [
                t
                for t in tx.templates.of_subject(subject_id)
                if all_versions or t.state is TemplateState.ACTIVE
            ]
        if key is None or not found:
            continue
        record_alone(on=on, action="templates.exported", actor=actor, subject_id=subject_id)
        cipher = on.vault.cipher(key)
        for row in found:
            yield ExchangedTemplate(
                subject_id=subject_id,
                template_id=row.template_id,
                state=row.state,
                origin=row.origin,
                model=row.model,
                source=row.source,
                calibration=row.calibration,
                quality=row.quality,
                created_at=row.created_at,
                content=cipher.open(row.sealed, place=TEMPLATE_PLACE, row=row.template_id),
            )


def import_templates(
    file: ExchangeFile,
    entries: Iterable[ExchangedTemplate],
    *,
    on: Stores,
    activate: bool = False,
    actor: str = SERVICE,
) -> ImportReport:
    """Keep what a file holds. activate: what was in force there is in force here too.

    What cannot be taken is reported by its code, and the rest goes on: ``invalid-value`` (not a template),
    ``other-content`` (that id is taken), ``deleted-since`` (the subject was deleted here after the file was
    written). A file that breaks off ends the report as incomplete; raises StorageFault.
    """
    imported = already = 0
    refused: list[RefusedTemplate] = []
    complete = True
    try:
        for entry in entries:
            code = _take(entry, file, on=on, activate=activate, actor=actor)
            imported += code is None
            already += code == ALREADY_THERE
            if code not in (None, ALREADY_THERE):
                refused.append(RefusedTemplate(entry.template_id[:64], code))
    except ExchangeFileRefused:
        if not imported and not already and not refused:
            raise
        complete = False
    report = ImportReport(file.export_id, file.source, imported, already, tuple(refused), complete)
    record_alone(
        on=on,
        action="templates.imported",
        actor=actor,
        object_id=file.export_id,
        outcome=f"imported={imported} already={already} refused={len(refused)} complete={complete}",
    )
    return report


def _take(
    entry: ExchangedTemplate, file: ExchangeFile, *, on: Stores, activate: bool, actor: str
) -> str | None:
    """None: imported."""
    try:
        check_subject_id(entry.subject_id)
        template = on.template_format.read(entry.content)
    except (InvalidValue, StorageFault):
        return "invalid-value"
    if (template.template_id, template.subject_id) != (entry.template_id, entry.subject_id):
        return "invalid-value"
    try:
        with on.database.transaction() as tx:
            return _keep(entry, file, tx, on=on, activate=activate, actor=actor)
    except Conflict:
        return "other-content"


def _keep(
    entry: ExchangedTemplate, file: ExchangeFile, tx: Transaction, *, on: Stores, activate: bool, actor: str
) -> str | None:
    subject_id, now = entry.subject_id, on.clock()
    deleted = tx.receipts.last_deletion(on.vault.digest("subject", subject_id.encode()))
    if deleted is not None and deleted >= file.created_at:
        return "deleted-since"
    key = tx.subjects.key(subject_id, lock=True)
    if key is None:
        key = on.vault.new_key(subject_id)
        tx.subjects.add(key, now=now)
    if not tx.consents.of_subject(subject_id):
        # Consents do not travel. One of this day, so that the longest time of consents holds here too.
        tx.consents.add(Consent(new_id("cns"), subject_id, None, f"import:{file.export_id}", now))
    cipher = on.vault.cipher(key)
    there = tx.templates.get(subject_id, entry.template_id)
    if there is not None:
        same = cipher.open(there.sealed, place=TEMPLATE_PLACE, row=there.template_id) == entry.content
        return ALREADY_THERE if same else "other-content"
    tx.templates.add(
        SealedTemplate(
            template_id=entry.template_id,
            subject_id=subject_id,
            operation_id=None,
            model=entry.model,
            source=entry.source,
            calibration=entry.calibration,
            quality=entry.quality,
            created_at=entry.created_at,
            sealed=cipher.seal(entry.content, place=TEMPLATE_PLACE, row=entry.template_id),
            origin=TemplateOrigin.IMPORT,
        )
    )
    if activate and entry.state is TemplateState.ACTIVE:
        tx.templates.activate(subject_id, entry.template_id, now=now)
    record(
        tx,
        on=on,
        action="template.imported",
        actor=actor,
        subject_id=subject_id,
        object_id=entry.template_id,
        outcome=(file.export_id,),
    )
    return None


def new_export_id() -> str:
    """Names one export."""
    return new_id("exp")
