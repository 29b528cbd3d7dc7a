"""What the activation of a batch would change."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from recon_service.api.service import service_of
from recon_service.application.records.evaluations import EvaluationState
from recon_service.application.reenrolling.batch_comparison import compare_batch
from recon_service.application.reenrolling.batch_evaluations import evaluate_batch, evaluations_of
from recon_service.console.access import FormToken, Session
from recon_service.console.answers import go, show
from recon_service.console.sessions import check_form

router = APIRouter(prefix="/console", include_in_schema=False)

RATES: Final = {
    "eer": "Equal error rate",
    "fnmr_at_fmr": "Missed, at the policy's false match rate",
    "fnmr": "Missed, at the policy's threshold",
    "fmr": "False matches, at the policy's threshold",
    "cllr": "Cllr, bits",
}


@router.get("/batches/{batch_id}/comparison")
def comparison(request: Request, session: Session, batch_id: str) -> Response:
    """From a sample, whose templates are opened; that somebody looked is in the audit log."""
    service = service_of(request)
    found = compare_batch(batch_id, on=service.stores, compute=service.compute, actor=session.key.key_id)
    return show(
        request,
        session,
        "comparison.html",
        found=found,
        batch_id=batch_id,
        evaluations=found.evaluations,
        rates=RATES,
    )


@router.get("/batches/{batch_id}/evaluations")
def evaluations(request: Request, session: Session, batch_id: str) -> Response:
    """How far the evaluations are, without the sample: a page may ask for it again and again."""
    found = evaluations_of(batch_id, on=service_of(request).stores)
    return show(request, session, "evaluations.html", batch_id=batch_id, evaluations=found, rates=RATES)


@router.post("/batches/{batch_id}/evaluate")
def evaluate(
    request: Request,
    session: Session,
    batch_id: str,
    form_token: FormToken,
    again: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Both ways on the same people, once a worker has nothing more urgent."""
    check_form(session, form_token)
    service = service_of(request)
    found = evaluate_batch(
        batch_id,
        sets=service.evaluation_sets,
        again=again == "yes",
        actor=session.key.key_id,
        on=service.stores,
    )
    pending = any(one.state is EvaluationState.PENDING for one in found)
    return go(
        request,
        f"/console/batches/{batch_id}/comparison",
        said="evaluate" if pending else "evaluated",
    )
