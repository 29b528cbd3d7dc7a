"""Verifications: a kiosk asks whether the person before it is the subject."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from recon_service.api.compute_turns import computed
from recon_service.api.examples import ATTACK, VERIFICATION
from recon_service.api.kiosk_headers import ProofHeader, SessionHeader, presented_proof
from recon_service.api.parameters import SubjectId
from recon_service.api.problems import documented
from recon_service.api.schemas import examples
from recon_service.api.schemas_verifications import VerificationBody, verification_body
from recon_service.api.security import Needs
from recon_service.api.service import service_of
from recon_service.api.uploads import read_form
from recon_service.api.visit_forms import visit_body, visit_limits, visit_of
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.records.identifiers import check_subject_id
from recon_service.application.verifying.kiosk_sessions import required_proof
from recon_service.application.verifying.lockouts import verify_guarded
from recon_service.domain.errors import Forbidden, InvalidValue

router = APIRouter(tags=["verify"])
CARD_AND_PIN = "card-and-pin"


_BODY = visit_body(
    confirmed={
        "type": "string",
        "enum": [CARD_AND_PIN],
        "description": "Card and PIN have confirmed who it is. For keys with the scope `confirm`. Changes no "
        "decision; see docs/strengthening.md.",
    }
)


@router.post(
    "/v1/subjects/{subject_id}/verifications",
    summary="Verify a subject by a depth capture",
    response_description="The decision; `NO_MATCH` is a result, not an error.",
    openapi_extra={"requestBody": _BODY},
    responses={
        200: examples(match=VERIFICATION, presentation_attack=ATTACK),
        **documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 428, 500, 503),
    },
)
async def verify(
    request: Request,
    subject_id: SubjectId,
    key: Annotated[ApiKey, Depends(Needs(Scope.VERIFY))],
    kiosk_session: SessionHeader = None,
    kiosk_proof: ProofHeader = None,
) -> VerificationBody:
    """Answers with a decision and keeps nothing of the visit, unless it strengthens the template, or the
    consent lets recent probes be kept.
    `NO_MATCH`, `INCONCLUSIVE` and `PRESENTATION_ATTACK` are results, not errors. Where kiosk sessions are
    required, a request without one is answered with 428.
    """
    service = service_of(request)
    check_subject_id(subject_id)
    form = await read_form(request, visit_limits(service, "confirmed"))
    visit = visit_of(form, confirmed=_confirmed(form.fields.get("confirmed"), key))
    presented = await run_in_threadpool(  # digests of all that came
        presented_proof,
        request,
        kiosk_session,
        kiosk_proof,
        subject_id=subject_id,
        visit=visit,
        intrinsics=form.fields["intrinsics"],
        confirmed=form.fields.get("confirmed"),
    )
    required_proof(presented, service.kiosk_policy)
    outcome = await computed(
        request,
        verify_guarded,
        subject_id,
        visit,
        api_key_id=key.key_id,
        policy=service.lockouts,
        on=service.stores,
        compute=service.compute,
        presented=presented,
        strengthening=service.strengthening,
        probes=service.probes,
    )
    return verification_body(outcome)


def _confirmed(value: str | None, key: ApiKey) -> bool:
    """Raises InvalidValue for another value, Forbidden for a key that nobody trusts with that."""
    if value is None:
        return False
    if value != CARD_AND_PIN:
        raise InvalidValue("confirmed has one value", next_step=f"Send {CARD_AND_PIN}, or leave it out.")
    if Scope.CONFIRM not in key.scopes:
        raise Forbidden(
            "this key may not say that somebody was confirmed",
            next_step="Use a key made with --scope verify --scope confirm.",
        )
    return True
