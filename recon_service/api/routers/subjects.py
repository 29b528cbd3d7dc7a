"""Subjects: what is stored of them, and their deletion."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response

from recon_service.api.compute_turns import computed
from recon_service.api.examples import RECEIPT, TEMPLATES
from recon_service.api.parameters import SubjectId, TemplateId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_templates import ReceiptBody, TemplatesBody, receipt_body, template_body
from recon_service.api.security import Needs, OpsKey
from recon_service.api.service import service_of
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.templates.subjects import (
    activate_template,
    delete_subject,
    list_templates,
    subject_version,
    template_mesh,
)

router = APIRouter(tags=["ops"])
GLB = "model/gltf-binary"
IF_MATCH = Header(
    description="The ETag of the list of templates: acts only if nothing changed since. Left out, or `*`: "
    "acts whatever changed."
)


@router.get(
    "/v1/subjects/{subject_id}/templates",
    summary="List the templates of a subject",
    response_description="Every version that is stored, newest first.",
    dependencies=[Depends(Needs(Scope.ENROLL, Scope.OPS))],
    responses={
        200: {
            **example(TEMPLATES),
            "headers": {"ETag": {"description": "For `If-Match`.", "schema": {"type": "string"}}},
        },
        **documented(401, 403, 404, 422),
    },
)
def templates(request: Request, response: Response, subject_id: SubjectId) -> TemplatesBody:
    """Newest first; without anything of the face itself."""
    stores = service_of(request).stores
    # Read before the list: a template that comes in between makes the ETag too old, never too new.
    response.headers["ETag"] = f'"{subject_version(subject_id, on=stores)}"'
    found = list_templates(subject_id, on=stores)
    return TemplatesBody(subject_id=subject_id, templates=[template_body(t) for t in found])


@router.post(
    "/v1/subjects/{subject_id}/templates/{template_id}:activate",
    summary="Compare with this version of a subject's template from now on",
    response_description="The templates of the subject, with this one active.",
    responses={200: example(TEMPLATES), **documented(401, 403, 404, 412, 422, 503)},
)
def activate(
    request: Request,
    subject_id: SubjectId,
    template_id: TemplateId,
    key: OpsKey,
    if_match: Annotated[str | None, IF_MATCH] = None,
) -> TemplatesBody:
    """The version before retires, and can be taken back in the same way for `RECON_RETIRED_DAYS`."""
    found = activate_template(
        subject_id,
        template_id,
        on=service_of(request).stores,
        if_version=_version(if_match),
        actor=key.key_id,
    )
    return TemplatesBody(subject_id=subject_id, templates=[template_body(t) for t in found])


@router.get(
    "/v1/subjects/{subject_id}/templates/{template_id}/mesh.glb",
    summary="The face of a template as a 3D mesh",
    response_class=Response,
    responses={
        200: {
            "description": "Binary glTF, meters, y up: the most probable face, neutral.",
            "content": {GLB: {"schema": {"type": "string", "format": "binary"}}},
        },
        **documented(401, 403, 404, 409, 422, 500, 503),
    },
)
async def mesh(
    request: Request,
    subject_id: SubjectId,
    template_id: TemplateId,
    key: Annotated[ApiKey, Depends(Needs(Scope.OPS, Scope.ENROLL))],
) -> Response:
    """Derived from the template on demand; it is stored nowhere."""
    service = service_of(request)
    content = await computed(
        request,
        template_mesh,
        subject_id,
        template_id,
        on=service.stores,
        compute=service.compute,
        actor=key.key_id,
    )
    return Response(
        content, media_type=GLB, headers={"Content-Disposition": f'attachment; filename="{template_id}.glb"'}
    )


@router.delete(
    "/v1/subjects/{subject_id}",
    summary="Delete a subject",
    response_description="The receipt: everything of the subject is destroyed.",
    responses={200: example(RECEIPT), **documented(401, 403, 404, 412, 422, 500, 503)},
)
def delete(
    request: Request,
    subject_id: SubjectId,
    key: OpsKey,
    if_match: Annotated[str | None, IF_MATCH] = None,
) -> ReceiptBody:
    """Destroy the subject's key, every row and every object, and answer with a receipt."""
    receipt = delete_subject(
        subject_id, on=service_of(request).stores, if_version=_version(if_match), actor=key.key_id
    )
    return receipt_body(receipt, subject_id)


def _version(if_match: str | None) -> str | None:
    return None if if_match in (None, "*") else if_match.strip().removeprefix("W/").strip('"')
