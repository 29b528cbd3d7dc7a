"""How the service does: queues, outcomes, what is under way, workers and their models, and what was given
up.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from recon_service.api.service import Service, service_of
from recon_service.application.enrolling.operations import (
    MAX_LISTED,
    get_operation,
    list_dead,
    queue_states,
    retry_dead,
)
from recon_service.application.records.batches import WORKING, Batch, BatchState
from recon_service.application.records.operations import OperationState
from recon_service.application.reenrolling.batches import look_at_batch
from recon_service.application.reenrolling.models import overview_of_models
from recon_service.console.access import FormToken, Session
from recon_service.console.answers import go, show
from recon_service.console.sessions import check_form
from recon_service.domain.errors import Conflict

router = APIRouter(prefix="/console", include_in_schema=False)

VERIFICATIONS_WITHIN: Final = 20_000
BATCHES_WITHIN: Final = 200
BATCHES: Final = 20
READY_SHOWN: Final = timedelta(days=14)
LISTED: Final = 200


@router.get("")
def overview(request: Request, session: Session) -> Response:
    """Queue, outcomes, batches under way, workers."""
    return show(request, session, "overview.html", **_overview(service_of(request)))


@router.get("/models")
def models(request: Request, session: Session) -> Response:
    """What workers run, and what made which templates."""
    return show(request, session, "models.html", models=overview_of_models(on=service_of(request).stores))


@router.get("/given-up")
def given_up(request: Request, session: Session) -> Response:
    """Enrollments that were given up."""
    dead = list_dead(on=service_of(request).stores, limit=LISTED)
    return show(request, session, "given_up.html", dead=dead, listed=LISTED)


@router.post("/given-up/{operation_id}/retry")
def retry(request: Request, session: Session, operation_id: str, form_token: FormToken) -> Response:
    """Another try for one of them."""
    check_form(session, form_token)
    service, said = service_of(request), "retry"
    try:
        retry_dead(operation_id, on=service.stores, queue=service.queue, actor=session.key.key_id)
    except Conflict:
        if get_operation(operation_id, on=service.stores).state is OperationState.FAILED:
            raise  # its selfies are gone
        said = "already"  # pressed twice: it waits, or has had its try
    return go(request, "/console/given-up", said=said)


def _overview(service: Service) -> dict[str, Any]:
    stores = service.stores
    now = stores.clock()
    with stores.database.snapshot() as tx:
        day = tx.operations.outcomes(since=now - timedelta(days=1))
        decisions = tx.audit.outcomes("verification", within=VERIFICATIONS_WITHIN)
        batches = [b for b in tx.batches.newest(limit=BATCHES_WITHIN) if _waits_or_works(b, now)]
    by_decision: dict[str, int] = {}
    for outcome, number in decisions.items():
        decision = outcome.partition(" ")[0]
        by_decision[decision] = by_decision.get(decision, 0) + number
    return {
        "lanes": queue_states(on=stores),
        "day": day,
        "decisions": by_decision,
        "dead": len(list_dead(on=stores, limit=MAX_LISTED)),
        "dead_at_most": MAX_LISTED,
        "batches": [look_at_batch(b.batch_id, on=stores) for b in batches[:BATCHES]],
        "models": overview_of_models(on=stores),
    }


def _waits_or_works(found: Batch, now: datetime) -> bool:
    """Whether something is done, or somebody has to say what: one that is ready asks for a while."""
    ready = found.state is BatchState.READY and now - found.updated_at < READY_SHOWN
    return ready or found.state in (*WORKING, BatchState.PAUSED)
