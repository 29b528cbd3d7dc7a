"""Bodies of templates and of the receipt for their deletion, as they are on the wire."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_fields import (
    Count,
    MadeWithCalibration,
    ModelField,
    SubjectField,
    TemplateField,
)
from recon_service.application.records.subjects import DeletionReceipt
from recon_service.application.records.templates import SealedTemplate, TemplateOrigin, TemplateState


class TemplateBody(Body):
    """One version of a subject's template, without what it says about the face."""

    template_id: TemplateField
    operation_id: str | None = Field(description="The enrollment that made it; null for another origin.")
    state: TemplateState = Field(
        description="`active`: verifications compare with it, at most one per subject. `candidate`: was "
        "never used. `retired`: was active, and can be activated again for a while."
    )
    origin: TemplateOrigin = Field(
        description="What made it. `strengthening`: a verification that added to it; `re-enrollment`: a "
        "batch."
    )
    parent_id: str | None = Field(
        description="The template that it was derived from; null: it was made from pictures or imported."
    )
    model: ModelField
    source: str = Field(description="What observed the face, and in which light: `METHOD/LIGHT`.")
    calibration: MadeWithCalibration
    quality: float = Field(description="Score of the weakest selfie that was used, 0 to 100.")
    created_at: datetime = Field(description="When it was made.")
    activated_at: datetime | None = Field(description="When it was activated the last time; null: never.")
    retired_at: datetime | None = Field(description="When it retired the last time; null: never.")
    links: dict[str, str] = Field(description="Addresses: `mesh`, the face in 3D.")


class TemplatesBody(Body):
    """The templates of a subject, newest first."""

    subject_id: SubjectField
    templates: list[TemplateBody] = Field(description="Every version that is stored, newest first.")


class ReceiptBody(Body):
    """Proof that a subject was deleted."""

    receipt_id: str = Field(description="Id of the receipt, which the service keeps too.")
    subject_id: str = Field(
        description="The subject as this request named it; the stored receipt does not have it."
    )
    subject_digest: str = Field(
        description="Keyed digest of `subject_id` (HMAC-SHA-256, hex): the stored receipt names nobody."
    )
    deleted_at: datetime = Field(description="When it was deleted.")
    templates: Count = Field(description="How many versions of the template were destroyed.")
    operations: Count = Field(description="How many enrollments were destroyed.")
    objects: Count = Field(
        description="How many stored files (selfies that were kept or waited) were destroyed."
    )
    keys: Count = Field(
        description="How many data keys were destroyed: without its key nothing that a backup still has "
        "can be read."
    )
    authentication: str = Field(
        description="Keyed digest (HMAC-SHA-256, hex) over the receipt without `subject_id`: the service "
        "made it."
    )


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
