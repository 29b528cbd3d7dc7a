"""Pictures of templates, for those who judge a batch."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from recon_service.api.parameters import SubjectId, TemplateId
from recon_service.api.problems import documented
from recon_service.api.security import OpsKey
from recon_service.api.service import service_of
from recon_service.application.templates.subjects import template_picture

router = APIRouter(tags=["ops"])
PNG = "image/png"


@router.get(
    "/v1/subjects/{subject_id}/templates/{template_id}/picture.png",
    summary="The face of a template from three sides",
    response_class=Response,
    responses={
        200: {
            "description": "The most probable face, neutral, drawn from the coefficients alone.",
            "content": {PNG: {"schema": {"type": "string", "format": "binary"}}},
        },
        **documented(401, 403, 404, 409, 422, 500, 503),
    },
)
def picture(
    request: Request,
    subject_id: SubjectId,
    template_id: TemplateId,
    key: OpsKey,
) -> Response:
    """Drawn on demand and stored nowhere; that somebody looked is in the audit log (`face.shown`)."""
    service = service_of(request)
    content = template_picture(
        subject_id, template_id, on=service.stores, compute=service.compute, actor=key.key_id
    )
    return Response(content, media_type=PNG, headers={"Cache-Control": "no-store"})
