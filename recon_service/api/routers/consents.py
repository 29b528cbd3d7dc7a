"""Consents: until when what is stored of somebody may be."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from recon_service.api.parameters import SubjectId
from recon_service.api.problems import documented
from recon_service.api.schemas import examples
from recon_service.api.schemas_consents import (
    EXAMPLE,
    EXAMPLES,
    ConsentBody,
    ConsentsBody,
    ConsentWish,
    consent_body,
    consents_body,
)
from recon_service.api.security import Needs
from recon_service.api.service import service_of
from recon_service.application.enrolling.consents import (
    MAX_LISTED,
    current_consent,
    ending_consents,
    renew_consent,
)
from recon_service.application.records.access import ApiKey, Scope

router = APIRouter(tags=["ops"])


@router.get(
    "/v1/consents",
    summary="List subjects whose consent ends soon",
    response_description="A page of consents, by the ids of their subjects.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: examples(soon=EXAMPLES), **documented(401, 403, 422, 500, 503)},
)
def ending(
    request: Request,
    within_days: Annotated[
        float,
        Query(ge=0, le=36_500, allow_inf_nan=False, description="Consents that end within so many days."),
    ] = 30,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED, description="Entries of a page, at most.")] = 100,
    after: Annotated[
        str, Query(max_length=64, description="`next` of the page before; left out: the first page.")
    ] = "",
) -> ConsentsBody:
    """By their ids. They are destroyed when it ends, unless a newer consent comes."""
    service = service_of(request)
    found = ending_consents(
        within=timedelta(days=within_days),
        policy=service.consent_policy,
        on=service.stores,
        limit=limit,
        after=after,
    )
    return consents_body(found, limit)


@router.get(
    "/v1/subjects/{subject_id}/consent",
    summary="The consent of a subject, and when it ends",
    response_description="The consent in force.",
    dependencies=[Depends(Needs(Scope.ENROLL, Scope.OPS))],
    responses={200: examples(consent=EXAMPLE), **documented(401, 403, 404, 422, 500, 503)},
)
def consent(request: Request, subject_id: SubjectId) -> ConsentBody:
    """The newest; enrollments that gave nothing do not count."""
    service = service_of(request)
    return consent_body(*current_consent(subject_id, policy=service.consent_policy, on=service.stores))


@router.put(
    "/v1/subjects/{subject_id}/consent",
    summary="A newer consent for all that is stored of a subject",
    response_description="The new consent, which is in force now.",
    responses={200: examples(consent=EXAMPLE), **documented(400, 401, 403, 404, 415, 422, 500, 503)},
)
def renew(
    request: Request,
    subject_id: SubjectId,
    wish: ConsentWish,
    key: Annotated[ApiKey, Depends(Needs(Scope.ENROLL, Scope.OPS))],
) -> ConsentBody:
    """It counts from now on, also when it ends earlier. To end a consent at once, delete the subject."""
    service = service_of(request)
    renewed = renew_consent(
        subject_id,
        wish.consent_id,
        wish.expires_at,
        actor=key.key_id,
        on=service.stores,
        keep_probes=wish.keep_probes,
    )
    return consent_body(renewed, renewed.end(service.consent_policy.longest))
