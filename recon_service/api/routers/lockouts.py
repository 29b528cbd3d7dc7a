"""Lock-outs: letting a subject or a kiosk in again before its time is over."""

from __future__ import annotations

from fastapi import APIRouter, Request

from recon_service.api.parameters import KeyId, SubjectId
from recon_service.api.problems import documented
from recon_service.api.security import OpsKey
from recon_service.api.service import service_of
from recon_service.application.records.access import FailureKind
from recon_service.application.records.identifiers import check_subject_id
from recon_service.application.verifying.lockouts import lift_lockout

router = APIRouter(tags=["ops"])


@router.delete(
    "/v1/subjects/{subject_id}/lock-out",
    status_code=204,
    summary="Let a subject in again that was locked out",
    response_description="The subject may be verified again.",
    responses=documented(401, 403, 404, 422, 500, 503),
)
def lift_subject(
    request: Request,
    subject_id: SubjectId,
    key: OpsKey,
) -> None:
    """After too many verifications without a match nothing is compared for a while. This goes to the audit
    log.
    """
    check_subject_id(subject_id)
    lift_lockout(FailureKind.SUBJECT, subject_id, actor=key.key_id, on=service_of(request).stores)


@router.delete(
    "/v1/api-keys/{key_id}/lock-out",
    status_code=204,
    summary="Let an API key verify and search again that was locked out",
    response_description="The key may verify and search again.",
    responses=documented(401, 403, 404, 422, 500, 503),
)
def lift_key(request: Request, key_id: KeyId, key: OpsKey) -> None:
    """The same for the key of a kiosk, and for its searches among all."""
    lift_lockout(FailureKind.API_KEY, key_id[:64], actor=key.key_id, on=service_of(request).stores)
