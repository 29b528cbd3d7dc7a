"""Kiosk sessions: nonces that verifications and searches among all are made for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from recon_service.api.kiosk_headers import client_of
from recon_service.api.problems import documented
from recon_service.api.schemas import examples
from recon_service.api.schemas_kiosk import EXAMPLE, KioskSessionBody, KioskSessionRequest, kiosk_session_body
from recon_service.api.security import Needs
from recon_service.api.service import service_of
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.verifying.kiosk_sessions import next_nonce, open_session

router = APIRouter(tags=["verify"])

SESSION_ID = Path(
    description="Id of the open session (`session_id`).",
    max_length=64,
    examples=["ks_5f0c3c1e8b1f4c0f9d3f3a5b8c7e6d21"],
)


@router.post(
    "/v1/kiosk-sessions",
    status_code=201,
    summary="Begin a visit to a kiosk",
    response_description="The session is open, with its first nonce.",
    responses={
        201: examples(opened=EXAMPLE),
        **documented(400, 401, 403, 408, 413, 415, 422, 500, 503),
    },
)
def open_kiosk_session(
    request: Request,
    asked: KioskSessionRequest,
    key: Annotated[ApiKey, Depends(Needs(Scope.VERIFY, Scope.IDENTIFY))],
) -> KioskSessionBody:
    """A session with its first nonce: open it when somebody steps before the kiosk, capture, and send the
    verification, or the identification, with `Kiosk-Session` and `Kiosk-Proof`.
    """
    service = service_of(request)
    issued = open_session(
        asked.subject_id,
        api_key_id=key.key_id,
        client=client_of(request),
        policy=service.kiosk_policy,
        on=service.stores,
    )
    return kiosk_session_body(issued)


@router.post(
    "/v1/kiosk-sessions/{session_id}/nonces",
    status_code=201,
    summary="Another nonce for the same visit",
    response_description="The next nonce; those before are void.",
    responses={201: examples(issued=EXAMPLE), **documented(400, 401, 403, 409, 422, 500, 503)},
)
def next_kiosk_nonce(
    request: Request,
    session_id: Annotated[str, SESSION_ID],
    key: Annotated[ApiKey, Depends(Needs(Scope.VERIFY, Scope.IDENTIFY))],
) -> KioskSessionBody:
    """For the next try after `INCONCLUSIVE`, a refused capture or a broken connection; the nonce before is
    void. Frames of this visit may be sent again.
    """
    service = service_of(request)
    issued = next_nonce(session_id, api_key_id=key.key_id, client=client_of(request), on=service.stores)
    return kiosk_session_body(issued)
