"""Bodies of templates and of the receipt for their deletion, as they are on the wire."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.application.records.subjects import DeletionReceipt
from recon_service.application.records.templates import SealedTemplate, TemplateOrigin, TemplateState


class TemplateBody(Body):
    """One version of a subject's template, without what it says about the face. `active` is the one that
    verifications use; `candidate` was never used; `retired` was, and can be activated again for a while.
    """

    template_id: str
    operation_id: str | None
    state: TemplateState
    origin: TemplateOrigin
    parent_id: str | None
    model: str
    source: str
    calibration: str
    quality: float
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None
    links: dict[str, str]


class TemplatesBody(Body):
    """The templates of a subject, newest first."""

    subject_id: str
    templates: list[TemplateBody]


class ReceiptBody(Body):
    """Proof that a subject was deleted."""

    receipt_id: str
    subject_id: str
    subject_digest: str = Field(description="Keyed hash: the stored receipt names nobody.")
    deleted_at: datetime
    templates: int
    operations: int
    objects: int
    keys: int
    authentication: str


def template_body(template: SealedTemplate) -> TemplateBody:
    """On the wire."""
    return TemplateBody(
        template_id=template.template_id,
        operation_id=template.operation_id,
        state=template.state,
        origin=template.origin,
        parent_id=template.parent_id,
        model=template.model,
        source=template.source,
        calibration=template.calibration,
        quality=round(template.quality, 1),
        created_at=template.created_at,
        activated_at=template.activated_at,
        retired_at=template.retired_at,
        links={"mesh": mesh_path(template.subject_id, template.template_id)},
    )


def receipt_body(receipt: DeletionReceipt, subject_id: str) -> ReceiptBody:
    """On the wire."""
    return ReceiptBody(
        receipt_id=receipt.receipt_id,
        subject_id=subject_id,
        subject_digest=receipt.subject_digest,
        deleted_at=receipt.deleted_at,
        templates=receipt.templates,
        operations=receipt.operations,
        objects=receipt.objects,
        keys=receipt.keys,
        authentication=receipt.authentication,
    )


def mesh_path(subject_id: str, template_id: str) -> str:
    """Address of a template's mesh."""
    return f"/v1/subjects/{subject_id}/templates/{template_id}/mesh.glb"
