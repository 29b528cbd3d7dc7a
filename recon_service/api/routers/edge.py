"""Edge mode: kiosks that may verify without the service, for a while and for the people of their site."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from recon_service.api.parameters import SubjectId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_edge import (
    KIOSK,
    REVOCATIONS,
    TAKEN,
    BundleRequest,
    KioskBody,
    KioskRequest,
    ReportsRequest,
    RevocationsBody,
    TakenBody,
    kiosk_body,
    sealed_reports,
)
from recon_service.api.schemas_fields import SUBJECT_PATTERN
from recon_service.api.security import Needs, OpsKey
from recon_service.api.service import service_of
from recon_service.application.edge.bundles import (
    add_member,
    make_bundle,
    register_kiosk,
    remove_member,
    revoke_kiosk,
    signed_revocations,
    take_reports,
)
from recon_service.application.keeping.signing import service_signer
from recon_service.application.records.access import ApiKey, Scope

router = APIRouter()

Site = Annotated[
    str,
    Path(
        description="Name of the site, which you choose: 1 to 64 of A-Z a-z 0-9 . _ ~ -",
        max_length=64,
        json_schema_extra={"pattern": SUBJECT_PATTERN},
        examples=["lobby-3"],
    ),
]
KioskId = Annotated[
    str,
    Path(
        description="Id of the kiosk, as its registration gave it (`kiosk_id`).",
        max_length=64,
        examples=[KIOSK["kiosk_id"]],
    ),
]
KioskKey = Annotated[ApiKey, Depends(Needs(Scope.VERIFY, Scope.OPS))]
CHANGES = documented(401, 403, 404, 422, 500, 503)


@router.post(
    "/v1/sites/{site}/kiosks",
    status_code=201,
    tags=["ops"],
    summary="Trust a kiosk of a site by its keys",
    response_description="The kiosk is trusted.",
    responses={201: example(KIOSK), **documented(401, 403, 422, 500, 503)},
)
def register_edge_kiosk(request: Request, site: Site, asked: KioskRequest, key: OpsKey) -> KioskBody:
    """The kiosk makes its keys itself; the service learns the public halves."""
    from recon_service.edge.format import HpkeEdgeFormat  # loaded only where edge mode is used

    stores = service_of(request).stores
    kiosk = register_kiosk(
        site,
        recipient=asked.recipient,
        signing=asked.signing,
        actor=key.key_id,
        on=stores,
        by=HpkeEdgeFormat(),
    )
    return kiosk_body(kiosk, service=service_signer(on=stores).public)


@router.delete(
    "/v1/sites/{site}/kiosks/{kiosk_id}",
    status_code=204,
    tags=["ops"],
    summary="No more bundles for a kiosk",
    response_description="No more bundles are made for the kiosk.",
    responses=CHANGES,
)
def revoke_edge_kiosk(request: Request, site: Site, kiosk_id: KioskId, key: OpsKey) -> None:
    """What it has expires by itself; what it decided until then is still taken."""
    revoke_kiosk(site, kiosk_id, actor=key.key_id, on=service_of(request).stores)


@router.put(
    "/v1/sites/{site}/subjects/{subject_id}",
    status_code=204,
    tags=["ops"],
    summary="Let a site hold a subject",
    response_description="The site may hold the subject.",
    responses=CHANGES,
)
def add_site_subject(request: Request, site: Site, subject_id: SubjectId, key: OpsKey) -> None:
    """From its next bundle on."""
    add_member(site, subject_id, actor=key.key_id, on=service_of(request).stores)


@router.delete(
    "/v1/sites/{site}/subjects/{subject_id}",
    status_code=204,
    tags=["ops"],
    summary="Take a subject from a site",
    response_description="The site holds the subject no more.",
    responses=CHANGES,
)
def remove_site_subject(request: Request, site: Site, subject_id: SubjectId, key: OpsKey) -> None:
    """Kiosks hear of it with the next revocations."""
    remove_member(site, subject_id, actor=key.key_id, on=service_of(request).stores)


@router.post(
    "/v1/sites/{site}/bundles",
    tags=["verify"],
    summary="A bundle of a site's templates for one of its kiosks",
    response_class=Response,
    responses={
        200: {
            "description": "Sealed for the kiosk, signed by the service, good for some hours.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        **documented(401, 403, 404, 409, 422, 500, 503),
    },
)
def site_bundle(request: Request, site: Site, asked: BundleRequest, key: KioskKey) -> Response:
    """Only the kiosk's private key opens it. Switched off (409) unless a policy for it is set."""
    service = service_of(request)
    content = make_bundle(site, asked.kiosk_id, actor=key.key_id, on=service.stores, by=service.edge)
    return Response(content, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})


@router.get(
    "/v1/sites/{site}/revocations",
    tags=["verify"],
    summary="What the kiosks of a site must not use any more",
    response_description="The newest statement.",
    responses={200: example(REVOCATIONS), **documented(401, 403, 422, 500, 503)},
)
def site_revocations(request: Request, site: Site, _key: KioskKey) -> RevocationsBody:
    """Ids of templates, which name nobody: deleted, replaced, or of somebody who left the site."""
    from recon_service.edge.format import HpkeEdgeFormat

    signed = signed_revocations(site, on=service_of(request).stores, by=HpkeEdgeFormat())
    return RevocationsBody.model_validate(signed)


@router.post(
    "/v1/edge-reports",
    tags=["verify"],
    summary="Report what a kiosk decided by itself",
    response_description="All reports are on record.",
    responses={200: example(TAKEN), **documented(401, 403, 404, 409, 422, 500, 503)},
)
def edge_reports(
    request: Request,
    asked: ReportsRequest,
    _key: Annotated[ApiKey, Depends(Needs(Scope.VERIFY))],
) -> TakenBody:
    """Every decision goes to the audit log. Sending reports again changes nothing; a report that is missing
    in between is noticed (409).
    """
    from recon_service.edge.format import HpkeEdgeFormat

    last = take_reports(sealed_reports(asked), on=service_of(request).stores, by=HpkeEdgeFormat())
    return TakenBody(last=last)
