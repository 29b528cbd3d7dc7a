"""Identifications: who of all that are enrolled may this be? And whom an enrollment looked like."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from recon_service.api.compute_turns import computed
from recon_service.api.kiosk_headers import ProofHeader, SessionHeader, presented_proof
from recon_service.api.parameters import OperationId
from recon_service.api.problems import documented
from recon_service.api.schemas import example, examples
from recon_service.api.schemas_identification import (
    DUPLICATES,
    IDENTIFICATION,
    NOBODY,
    DuplicatesBody,
    IdentificationBody,
    duplicate_body,
    identification_body,
)
from recon_service.api.security import Needs, OpsKey
from recon_service.api.service import service_of
from recon_service.api.uploads import read_form
from recon_service.api.visit_forms import visit_body, visit_limits, visit_of
from recon_service.application.enrolling.duplicate_findings import all_findings, findings_of
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.records.identifications import MAX_CANDIDATES
from recon_service.application.verifying.kiosk_sessions import required_proof

router = APIRouter()


@router.post(
    "/v1/identifications",
    tags=["identify"],
    summary="Search all who are enrolled for the person in a depth capture",
    response_description="The decision; that nobody is like the person is a result, not an error.",
    openapi_extra={"requestBody": visit_body()},
    responses={
        200: examples(candidates=IDENTIFICATION, nobody=NOBODY),
        **documented(400, 401, 403, 408, 409, 413, 415, 422, 428, 500, 503),
    },
)
async def identify_person(
    request: Request,
    key: Annotated[ApiKey, Depends(Needs(Scope.IDENTIFY))],
    limit: Annotated[
        int, Query(ge=1, le=MAX_CANDIDATES, description="Candidates in the answer, at most.")
    ] = 5,
    kiosk_session: SessionHeader = None,
    kiosk_proof: ProofHeader = None,
) -> IdentificationBody:
    """Compares the capture with every reference, and keeps nothing of it. The threshold grows with the
    number of references; candidates below it, or beyond what the calibration was measured for, are leads.
    Switched off (409) unless the operator has switched it on. Where kiosk sessions are required, a request
    without one is answered with 428; the proof's line for the subject is empty. Searches that name nobody
    lock the key out in the end (429).
    """
    from recon_service.application.searching.identification import identify

    service = service_of(request)
    form = await read_form(request, visit_limits(service))
    visit = visit_of(form)
    presented = await run_in_threadpool(  # digests of all that came
        presented_proof,
        request,
        kiosk_session,
        kiosk_proof,
        subject_id="",
        visit=visit,
        intrinsics=form.fields["intrinsics"],
    )
    required_proof(presented, service.kiosk_policy)
    found = await computed(
        request,
        identify,
        visit,
        limit=limit,
        api_key_id=key.key_id,
        policy=service.lockouts,
        on=service.stores,
        compute=service.compute,
        by=service.identifier,
        presented=presented,
    )
    service.telemetry.metrics.identified(found.decision.value, found.policy)
    return identification_body(found)


@router.get(
    "/v1/operations/{operation_id}/duplicates",
    tags=["ops"],
    summary="Whom the person of an enrollment looks like",
    response_description="The findings; an empty list: none, or the check is off.",
    responses={200: example(DUPLICATES), **documented(401, 403, 404, 422, 500, 503)},
)
def operation_duplicates(
    request: Request,
    operation_id: OperationId,
    key: Annotated[ApiKey, Depends(Needs(Scope.ENROLL, Scope.OPS))],
) -> DuplicatesBody:
    """Findings of the check that the operator may have switched on. A key of scope `enroll` learns that there
    are some, and not who.
    """
    names = Scope.OPS in key.scopes
    found = findings_of(operation_id[:64], on=service_of(request).stores)
    return DuplicatesBody(duplicates=[duplicate_body(one, names=names) for one in found], next_after=None)


@router.get(
    "/v1/duplicates",
    tags=["ops"],
    summary="All findings of duplicates",
    response_description="A page of findings.",
    responses={200: example(DUPLICATES), **documented(401, 403, 422, 500, 503)},
)
def list_duplicates(
    request: Request,
    key: OpsKey,
    after: Annotated[
        str, Query(max_length=64, description="`next_after` of the page before; left out: the first page.")
    ] = "",
    limit: Annotated[int, Query(ge=5, le=1000, description="Entries of a page, at most.")] = 100,
) -> DuplicatesBody:
    """In the order of the operations' ids. They go with either of the two subjects."""
    found: list[Any] = all_findings(after=after, limit=limit + 1, on=service_of(request).stores)
    more = len(found) > limit
    if more:
        # Findings of one enrollment stay on one page.
        last = found[limit].operation_id
        found = [one for one in found if one.operation_id != last]
    return DuplicatesBody(
        duplicates=[duplicate_body(one, names=True) for one in found],
        next_after=found[-1].operation_id if more else None,
    )
