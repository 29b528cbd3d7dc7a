"""Templates into their rows and out of them: the one place that knows how a row is made of a template."""

from __future__ import annotations

from typing import Final

from recon_service.application.ports.stores import Stores
from recon_service.application.records.subjects import WrappedKey
from recon_service.application.records.templates import SealedTemplate, TemplateOrigin
from recon_service.domain.errors import StorageFault
from recon_service.domain.template import Template

TEMPLATE_PLACE: Final = "templates"


def seal_template(
    template: Template,
    key: WrappedKey,
    *,
    on: Stores,
    origin: TemplateOrigin,
    operation_id: str | None = None,
    parent_id: str | None = None,
) -> SealedTemplate:
    """The row of a new version, a candidate until it is activated; encrypted with the subject's key."""
    content = on.template_format.write(template)
    return SealedTemplate(
        template_id=template.template_id,
        subject_id=template.subject_id,
        operation_id=operation_id,
        model=template.model,
        source=template.source,
        calibration=template.calibration,
        quality=template.quality,
        created_at=template.created_at,
        sealed=on.vault.cipher(key).seal(content, place=TEMPLATE_PLACE, row=template.template_id),
        origin=origin,
        parent_id=parent_id,
    )


def open_template(row: SealedTemplate, key: WrappedKey, *, on: Stores) -> Template:
    """Decrypted. Raises StorageFault: it was altered, moved, or is not the row's."""
    content = on.vault.cipher(key).open(row.sealed, place=TEMPLATE_PLACE, row=row.template_id)
    template = on.template_format.read(content)
    if (template.template_id, template.subject_id) != (row.template_id, row.subject_id):
        raise StorageFault("a stored template does not belong to its row")
    return template
