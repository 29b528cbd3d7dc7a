"""Subjects: their templates, and their deletion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from recon_service.application.errors import PreconditionFailed
from recon_service.application.keeping.audit import SERVICE, record, record_alone
from recon_service.application.keeping.objects import delete_doomed
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.identifiers import check_subject_id, new_id
from recon_service.application.records.subjects import DeletionReceipt
from recon_service.application.records.templates import SealedTemplate
from recon_service.application.templates.sealing import open_template
from recon_service.application.templates.tombstones import export_tombstones
from recon_service.domain.errors import NotFound, StorageFault
from recon_service.domain.template import Template

MAX_LISTED: Final = 1000


def list_templates(subject_id: str, *, on: Stores) -> list[SealedTemplate]:
    """What is stored of the subject, newest first. Raises NotFound for a subject that does not exist."""
    check_subject_id(subject_id)
    with on.database.snapshot() as tx:
        if tx.subjects.key(subject_id) is None:
            raise no_such_subject()
        return tx.templates.of_subject(subject_id)


def list_subjects(*, on: Stores, after: str = "", limit: int = 100) -> list[tuple[str, datetime]]:
    """Subjects with the moment of their first enrollment, in the order of their ids, from after that one."""
    with on.database.snapshot() as tx:
        return tx.subjects.page(after=after, limit=min(max(limit, 1), MAX_LISTED))


def load_template(subject_id: str, template_id: str | None, *, on: Stores) -> Template:
    """A template decrypted; None: the active one. Raises NotFound, StorageFault."""
    check_subject_id(subject_id)
    with on.database.snapshot() as tx:
        key = tx.subjects.key(subject_id)
        if key is None:
            raise no_such_subject()
        row = _row(subject_id, template_id, tx)
    return open_template(row, key, on=on)


def template_mesh(
    subject_id: str, template_id: str, *, on: Stores, compute: Compute, actor: str = SERVICE
) -> bytes:
    """The most probable neutral face of a template as binary glTF; derived anew every time, never stored."""
    template = load_template(subject_id, template_id, on=on)
    record_alone(on=on, action="mesh.read", actor=actor, subject_id=subject_id, object_id=template_id)
    return compute.mesh(template)


def template_picture(
    subject_id: str, template_id: str, *, on: Stores, compute: Compute, actor: str = SERVICE
) -> bytes:
    """The most probable neutral face of a template from three sides, as PNG; never stored."""
    template = load_template(subject_id, template_id, on=on)
    record_alone(on=on, action="face.shown", actor=actor, subject_id=subject_id, object_id=template_id)
    return compute.picture(template)


def subject_version(subject_id: str, *, on: Stores) -> str:
    """Changes whenever a template of the subject comes or goes, and with a deletion. Raises NotFound."""
    check_subject_id(subject_id)
    with on.database.snapshot() as tx:
        return _version(subject_id, tx, on)


def activate_template(
    subject_id: str,
    template_id: str,
    *,
    on: Stores,
    if_version: str | None = None,
    actor: str = SERVICE,
) -> list[SealedTemplate]:
    """Compare with this version from now on; the one before retires and can be taken back in the same way.

    What is stored of the subject afterwards, newest first. Raises NotFound; PreconditionFailed when the
    subject is not at ``if_version`` any more.
    """
    check_subject_id(subject_id)
    with on.database.transaction() as tx:
        _lock_at(subject_id, if_version, tx, on)
        before = tx.templates.active(subject_id)
        if not tx.templates.activate(subject_id, template_id, now=on.clock()):
            raise NotFound("the subject has no such template", next_step="List the subject's templates.")
        if before is None or before.template_id != template_id:
            record(
                tx,
                on=on,
                action="template.activated",
                actor=actor,
                subject_id=subject_id,
                object_id=template_id,
                outcome=(f"instead of {before.template_id}",) if before else (),
            )
        return tx.templates.of_subject(subject_id)


def delete_subject(
    subject_id: str, *, on: Stores, if_version: str | None = None, actor: str = SERVICE
) -> DeletionReceipt:
    """Destroy the subject's key, rows and objects. Raises NotFound; PreconditionFailed when the subject is
    not at ``if_version`` any more.

    With the key's row gone, whatever a crash or a store that does not answer may leave of the objects is
    unreadable, and the sweeper removes it.
    """
    check_subject_id(subject_id)
    with on.database.transaction() as tx:
        if if_version is not None:
            _lock_at(subject_id, if_version, tx, on)
        receipt, objects = erase_subject(tx, subject_id, actor=actor, on=on)
    after_erasure(objects, on=on)
    return receipt


def erase_subject(
    tx: Transaction, subject_id: str, *, actor: str, on: Stores, reason: str = ""
) -> tuple[DeletionReceipt, tuple[str, ...]]:
    """Destroy within a transaction; the receipt, and the objects for ``after_erasure``. Raises NotFound."""
    erasure = tx.subjects.erase(subject_id)
    if erasure is None:
        raise no_such_subject()
    receipt = DeletionReceipt(
        receipt_id=new_id("rcpt"),
        subject_digest=on.vault.digest("subject", subject_id.encode()),
        # A clock that was put back does not make the deletion one of before the enrollment.
        deleted_at=max(on.clock(), erasure.enrolled_at),
        templates=erasure.templates,
        operations=erasure.operations,
        objects=len(erasure.object_keys),
        keys=1,
    )
    receipt = replace(receipt, authentication=on.vault.digest("receipt", *receipt.statement()))
    tx.receipts.add(receipt)
    tx.loose_objects.doom(erasure.object_keys, now=on.clock())
    record(
        tx,
        on=on,
        action="subject.deleted",
        actor=actor,
        subject_id=subject_id,
        object_id=receipt.receipt_id,
        outcome=(reason,) if reason else (),
    )
    return receipt, erasure.object_keys


def after_erasure(objects: Sequence[str], *, on: Stores) -> None:
    """Once the transaction is committed: what fails here, the sweeper does later."""
    delete_doomed(objects, on=on)
    with suppress(StorageFault):
        export_tombstones(on=on)


def _lock_at(subject_id: str, version: str | None, tx: Transaction, on: Stores) -> None:
    if tx.subjects.key(subject_id, lock=True) is None:
        raise no_such_subject()
    if version is not None and _version(subject_id, tx, on) != version:
        raise PreconditionFailed(
            "the subject's templates have changed since they were looked at",
            next_step="List the templates again and decide again.",
        )


def _version(subject_id: str, tx: Transaction, on: Stores) -> str:
    key, version = tx.subjects.key(subject_id), tx.subjects.version(subject_id)
    if key is None or version is None:
        raise no_such_subject()
    # With the key's id: a subject that was deleted and enrolled anew counts from one again.
    return f"{on.vault.digest('subject', key.key_id.encode())[:16]}-{version}"


def no_such_subject() -> NotFound:
    """The same answer for a subject that never was and one that was deleted."""
    return NotFound("there is no such subject", next_step="Enroll the subject first.")


def _row(subject_id: str, template_id: str | None, tx: Transaction) -> SealedTemplate:
    if template_id is None:
        row = tx.templates.active(subject_id)
    else:
        row = tx.templates.get(subject_id, template_id)
    if row is None:
        raise NotFound(
            "the subject has no such template", next_step="Wait for an enrollment of the subject to succeed."
        )
    return row
