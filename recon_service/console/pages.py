"""The pages of the console and what its buttons do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from fastapi.routing import APIRoute

from recon_service.api.problems import status_of
from recon_service.api.service import Service, service_of
from recon_service.application.enrolling.operations import list_dead, queue_states, retry_dead
from recon_service.application.keeping.audit import record_alone, subject_digest
from recon_service.application.records.batches import WORKING, Batch, BatchState, ItemState
from recon_service.application.records.identifiers import check_subject_id
from recon_service.application.reenrolling.batch_comparison import compare_batch
from recon_service.application.reenrolling.batch_evaluations import evaluate_batch
from recon_service.application.reenrolling.batches import (
    activate_batch,
    cancel_batch,
    list_batches,
    list_items,
    look_at_batch,
    pause_batch,
    resume_batch,
    retry_failed_items,
    roll_back_batch,
)
from recon_service.application.reenrolling.models import overview_of_models
from recon_service.application.templates.subjects import activate_template, list_templates, template_picture
from recon_service.console.rendering import FOLDER, page
from recon_service.console.sessions import COOKIE, LIFETIME, SignedIn, check_form, sign_in, signed_in
from recon_service.domain.errors import CallerError, NotFound, ReconError, Unauthenticated


class PageRoute(APIRoute):
    """A problem is a page, and somebody who is not signed in is asked to."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As the framework's, but for errors of ours."""
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except Unauthenticated:
                return RedirectResponse("/console/sign-in", status_code=303)
            except ReconError as problem:
                return page("problem.html", status=status_of(type(problem)), problem=problem)

        return handle_or_explain


router = APIRouter(prefix="/console", include_in_schema=False, route_class=PageRoute)

STATIC: Final = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
VERIFICATIONS_WITHIN: Final = 20_000
HISTORY: Final = 200
ITEMS: Final = 100
RATES: Final = {
    "eer": "Equal error rate",
    "fnmr_at_fmr": "Missed, at the policy's false match rate",
    "fnmr": "Missed, at the policy's threshold",
    "fmr": "False matches, at the policy's threshold",
    "cllr": "Cllr, bits",
}
BUTTONS: Final[dict[str, Callable[..., object]]] = {
    "pause": pause_batch,
    "resume": resume_batch,
    "cancel": cancel_batch,
    "activate": activate_batch,
    "roll-back": roll_back_batch,
    "retry-failed": retry_failed_items,
}


def session_of(request: Request) -> SignedIn:
    """Raises Unauthenticated, Forbidden."""
    service = service_of(request)
    session = signed_in(
        request.cookies.get(COOKIE, ""), on=service.stores, allow_development=service.development_keys
    )
    request.state.api_key = session.key  # for the log
    service.limiter.take(session.key.key_id)
    return session


Session = Annotated[SignedIn, Depends(session_of)]
FormToken = Annotated[str, Form(max_length=200)]


@router.get("/sign-in")
def sign_in_page() -> Response:
    """Asks for an API key."""
    return page("sign_in.html", problem=None)


@router.post("/sign-in")
def do_sign_in(request: Request, api_key: Annotated[str, Form(max_length=300)]) -> Response:
    """A cookie for an API key that may see the console."""
    service = service_of(request)
    try:
        cookie = sign_in(api_key, on=service.stores, allow_development=service.development_keys)
    except CallerError as refusal:
        return page("sign_in.html", status=403, problem=refusal)
    answer = RedirectResponse("/console", status_code=303)
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LIFETIME.total_seconds()),
        path="/console",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/sign-out")
def do_sign_out(session: Session, form_token: FormToken) -> Response:
    """Forget the cookie."""
    check_form(session, form_token)
    answer = RedirectResponse("/console/sign-in", status_code=303)
    answer.delete_cookie(COOKIE, path="/console")
    return answer


@router.get("")
def overview(request: Request, session: Session) -> Response:
    """Queue, outcomes, batches under way, workers."""
    return _page(request, session, "overview.html", **_overview(service_of(request)))


@router.get("/batches")
def batches(request: Request, session: Session, before: datetime | None = None) -> Response:
    """Batches, newest first."""
    found = list_batches(on=service_of(request).stores, limit=50, before=before)
    return _page(request, session, "batches.html", batches=found)


@router.get("/batches/{batch_id}")
def batch(
    request: Request, session: Session, batch_id: str, state: ItemState | None = None, after: str = ""
) -> Response:
    """One batch with its items."""
    stores = service_of(request).stores
    progress = look_at_batch(batch_id, on=stores)
    items = list_items(batch_id, on=stores, state=state, after=after, limit=ITEMS)
    return _page(
        request,
        session,
        "batch.html",
        progress=progress,
        items=items,
        state=state,
        states=list(ItemState),
        more=items[-1].subject_id if len(items) == ITEMS else None,
        buttons=_buttons(progress.batch),
    )


@router.get("/batches/{batch_id}/comparison")
def comparison(request: Request, session: Session, batch_id: str) -> Response:
    """What the activation would change, from a sample; that somebody looked is in the audit log."""
    service = service_of(request)
    found = compare_batch(batch_id, on=service.stores, compute=service.compute, actor=session.key.key_id)
    return _page(request, session, "comparison.html", found=found, rates=RATES)


@router.post("/batches/{batch_id}/evaluate")
def evaluate(request: Request, session: Session, batch_id: str, form_token: FormToken) -> Response:
    """Both ways on the same people, once a worker has nothing more urgent."""
    check_form(session, form_token)
    service = service_of(request)
    sets = service.evaluation_sets
    evaluate_batch(batch_id, sets=sets, again=False, actor=session.key.key_id, on=service.stores)
    return RedirectResponse(f"/console/batches/{batch_id}/comparison", status_code=303)


@router.post("/batches/{batch_id}/{button}")
def press(request: Request, session: Session, batch_id: str, button: str, form_token: FormToken) -> Response:
    """What a button of a batch does."""
    check_form(session, form_token)
    if button not in BUTTONS:
        raise NotFound("there is no such button")
    BUTTONS[button](batch_id, actor=session.key.key_id, on=service_of(request).stores)
    return RedirectResponse(f"/console/batches/{batch_id}", status_code=303)


@router.get("/models")
def models(request: Request, session: Session) -> Response:
    """What workers run, and what made which templates."""
    return _page(request, session, "models.html", models=overview_of_models(on=service_of(request).stores))


@router.get("/given-up")
def given_up(request: Request, session: Session) -> Response:
    """Enrollments that were given up."""
    return _page(request, session, "given_up.html", dead=list_dead(on=service_of(request).stores, limit=200))


@router.post("/given-up/{operation_id}/retry")
def retry(request: Request, session: Session, operation_id: str, form_token: FormToken) -> Response:
    """Another try for one of them."""
    check_form(session, form_token)
    service = service_of(request)
    retry_dead(operation_id, on=service.stores, queue=service.queue, actor=session.key.key_id)
    return RedirectResponse("/console/given-up", status_code=303)


@router.get("/subjects")
def subjects(request: Request, session: Session, subject: str = "") -> Response:
    """Look somebody up."""
    if subject.strip():
        return RedirectResponse(f"/console/subjects/{quote(subject.strip(), safe='')}", status_code=303)
    return _page(request, session, "subjects.html")


@router.get("/subjects/{subject_id}")
def subject(request: Request, session: Session, subject_id: str) -> Response:
    """Versions, enrollments and what the audit log says; without the face."""
    stores = service_of(request).stores
    check_subject_id(subject_id)
    templates = list_templates(subject_id, on=stores)
    digest = subject_digest(subject_id, on=stores)
    with stores.database.snapshot() as tx:
        operations = tx.operations.of_subject(subject_id, limit=50)
        entries = list(tx.audit.entries(subject=digest))[-HISTORY:]
    record_alone(on=stores, action="subject.looked-at", actor=session.key.key_id, subject_id=subject_id)
    return _page(
        request,
        session,
        "subject.html",
        subject_id=subject_id,
        templates=templates,
        operations=operations,
        entries=entries[::-1],
    )


@router.post("/subjects/{subject_id}/templates/{template_id}/activate")
def activate(
    request: Request, session: Session, subject_id: str, template_id: str, form_token: FormToken
) -> Response:
    """Compare with another version from now on."""
    check_form(session, form_token)
    activate_template(subject_id, template_id, on=service_of(request).stores, actor=session.key.key_id)
    return RedirectResponse(f"/console/subjects/{quote(subject_id, safe='')}", status_code=303)


@router.post("/subjects/{subject_id}/templates/{template_id}/face")
def face(
    request: Request, session: Session, subject_id: str, template_id: str, form_token: FormToken
) -> Response:
    """The face, because somebody asked for it: that is in the audit log before it is drawn."""
    check_form(session, form_token)
    service = service_of(request)
    content = template_picture(
        subject_id, template_id, on=service.stores, compute=service.compute, actor=session.key.key_id
    )
    return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Style and script."""
    if name not in STATIC:
        raise NotFound("there is no such file")
    return FileResponse(
        FOLDER / "static" / name, media_type=STATIC[name], headers={"Cache-Control": "max-age=300"}
    )


def _page(request: Request, session: SignedIn, name: str, **values: Any) -> Response:
    return page(name, session=session, path=request.url.path, **values)


def _overview(service: Service) -> dict[str, Any]:
    stores = service.stores
    now = stores.clock()
    with stores.database.snapshot() as tx:
        hour = tx.operations.outcomes(since=now - timedelta(hours=1))
        day = tx.operations.outcomes(since=now - timedelta(days=1))
        decisions = tx.audit.outcomes("verification", within=VERIFICATIONS_WITHIN)
    by_decision: dict[str, int] = {}
    for outcome, number in decisions.items():
        decision = outcome.partition(" ")[0]
        by_decision[decision] = by_decision.get(decision, 0) + number
    working = [b for b in list_batches(on=stores, limit=20) if b.batch.ended_at is None or _works(b.batch)]
    return {
        "lanes": queue_states(on=stores),
        "hour": hour,
        "day": day,
        "decisions": by_decision,
        "dead": len(list_dead(on=stores, limit=500)),
        "batches": working,
        "models": overview_of_models(on=stores),
    }


def _works(found: Batch) -> bool:
    return found.state in (*WORKING, BatchState.PAUSED)


def _buttons(found: Batch) -> list[tuple[str, str, str]]:
    """(name, label, what is asked before) of the buttons that the batch's state allows."""
    offered = {
        BatchState.RUNNING: ("pause", "cancel"),
        BatchState.PAUSED: ("resume", "cancel"),
        BatchState.READY: ("activate", "retry-failed"),
        BatchState.CANCELLED: ("activate",),
        BatchState.ACTIVATING: ("roll-back",),
        BatchState.ACTIVE: ("roll-back", "retry-failed"),
        BatchState.ROLLED_BACK: ("activate", "retry-failed"),
    }.get(found.state, ())
    words = {
        "pause": ("Pause", ""),
        "resume": ("Resume", ""),
        "cancel": ("Cancel", "Cancel this batch for good? What succeeded is kept."),
        "activate": ("Activate", "Compare everybody in this batch with the new templates from now on?"),
        "roll-back": ("Roll back", "Put the former templates in force again?"),
        "retry-failed": ("Retry what failed", ""),
    }
    return [(name, *words[name]) for name in offered]
