"""Inspections: what operations and developers see of a template."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from recon_service.api.parameters import SubjectId, TemplateId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_inspections import INSPECTION, InspectionBody, inspection_body
from recon_service.api.security import OpsKey
from recon_service.api.service import service_of
from recon_service.api.uploads import read_form
from recon_service.api.visit_forms import visit_body, visit_limits, visit_of
from recon_service.application.records.identifiers import check_subject_id
from recon_service.application.verifying.inspections import inspect_template

router = APIRouter(tags=["ops"])
PATH = "/v1/subjects/{subject_id}/templates/{template_id}/inspection"


@router.get(
    PATH,
    summary="Look into a template: how sure it is where, and how the kept selfies agree with it",
    response_description="What the template says.",
    responses={200: example(INSPECTION), **documented(401, 403, 404, 409, 422, 500, 503)},
)
def inspect(
    request: Request,
    subject_id: SubjectId,
    template_id: TemplateId,
    key: OpsKey,
    selfies: Annotated[
        bool, Query(description="Whether to show the selfies too, where consent keeps them.")
    ] = False,
) -> InspectionBody:
    """Shows a face: each look is in the audit log."""
    service = service_of(request)
    check_subject_id(subject_id)
    found = inspect_template(
        subject_id,
        template_id[:64],
        on=service.stores,
        compute=service.compute,
        selfies=selfies,
        actor=key.key_id,
    )
    return inspection_body(found)


@router.post(
    PATH,
    summary="Lay a depth capture on a template",
    response_description="What the template says, and how the capture lies on it.",
    openapi_extra={"requestBody": visit_body()},
    responses={200: example(INSPECTION), **documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 500, 503)},
)
async def inspect_capture(
    request: Request,
    subject_id: SubjectId,
    template_id: TemplateId,
    key: OpsKey,
) -> InspectionBody:
    """The distance of the depth surface from the template, vertex by vertex, and the score with its parts. No
    decision about anybody: it counts as no attempt, and nothing of the capture is kept.
    """
    service = service_of(request)
    check_subject_id(subject_id)
    visit = visit_of(await read_form(request, visit_limits(service)))
    found = await run_in_threadpool(
        inspect_template,
        subject_id,
        template_id[:64],
        on=service.stores,
        compute=service.compute,
        visit=visit,
        actor=key.key_id,
    )
    return inspection_body(found)
