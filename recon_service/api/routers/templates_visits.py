"""The visits that strengthened a template: what it rests on, and taking one of them out again."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from recon_service.api.parameters import SubjectId, VisitId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_visits import VISITS, VisitsBody, visit_body
from recon_service.api.security import Needs, OpsKey
from recon_service.api.service import Service, service_of
from recon_service.application.records.access import Scope
from recon_service.application.verifying.strengthening_keeping import list_visits, remove_visit

router = APIRouter(tags=["ops"])


@router.get(
    "/v1/subjects/{subject_id}/visits",
    summary="List the visits that strengthened the active template",
    response_description="The visits of the active template, oldest first.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(VISITS), **documented(401, 403, 404, 422, 500, 503)},
)
def visits(request: Request, subject_id: SubjectId) -> VisitsBody:
    """Where each came from and what it added, without anything of the face itself."""
    return _visits(subject_id, service_of(request))


@router.delete(
    "/v1/subjects/{subject_id}/visits/{visit_id}",
    summary="Take a visit out of the active template",
    response_description="The visits that are left.",
    responses={200: example(VISITS), **documented(401, 403, 404, 409, 422, 500, 503)},
)
def remove(
    request: Request,
    subject_id: SubjectId,
    visit_id: VisitId,
    key: OpsKey,
) -> VisitsBody:
    """The new version holds, bit for bit, what it would hold if the visit had never been kept. The one before
    retires, and can be activated again. Goes to the audit log.
    """
    service = service_of(request)
    remove_visit(subject_id, visit_id, on=service.stores, actor=key.key_id)
    return _visits(subject_id, service)


def _visits(subject_id: str, service: Service) -> VisitsBody:
    template_id, found = list_visits(subject_id, on=service.stores)
    return VisitsBody(
        subject_id=subject_id, template_id=template_id, visits=[visit_body(visit) for visit in found]
    )
