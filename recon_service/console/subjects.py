"""One subject's history, without the face unless it is asked for."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from recon_service.api.service import service_of
from recon_service.application.keeping.audit import record_alone, subject_digest
from recon_service.application.records.identifiers import check_subject_id
from recon_service.application.templates.subjects import activate_template, list_templates, template_picture
from recon_service.console.access import FormToken, Session
from recon_service.console.answers import ask_first, go, show
from recon_service.console.sessions import check_form

router = APIRouter(prefix="/console", include_in_schema=False)

HISTORY: Final = 200
QUESTION: Final = "Compare with this version from now on?"


@router.get("/subjects")
def subjects(request: Request, session: Session, subject: str = "") -> Response:
    """Look somebody up."""
    if subject.strip():
        return RedirectResponse(_address(subject.strip()), status_code=303)
    return show(request, session, "subjects.html")


@router.get("/subjects/{subject_id}")
def subject(request: Request, session: Session, subject_id: str) -> Response:
    """Versions, enrollments and what the audit log says; without the face."""
    stores = service_of(request).stores
    check_subject_id(subject_id)
    templates = list_templates(subject_id, on=stores)
    digest = subject_digest(subject_id, on=stores)
    with stores.database.snapshot() as tx:
        operations = tx.operations.of_subject(subject_id, limit=50)
        entries = tx.audit.newest(digest, limit=HISTORY)
    record_alone(on=stores, action="subject.looked-at", actor=session.key.key_id, subject_id=subject_id)
    return show(
        request,
        session,
        "subject.html",
        subject_id=subject_id,
        templates=templates,
        operations=operations,
        entries=entries,
        question=QUESTION,
    )


@router.post("/subjects/{subject_id}/templates/{template_id}/activate")
def activate(
    request: Request,
    session: Session,
    subject_id: str,
    template_id: str,
    form_token: FormToken,
    sure: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Compare with another version from now on. sure: the question was asked."""
    check_form(session, form_token)
    address = _address(subject_id)
    if sure != "yes":
        button = f"{address}/templates/{quote(template_id, safe='')}/activate"
        return ask_first(
            request,
            session,
            question=QUESTION,
            label="Activate",
            careful=False,
            address=button,
            back=address,
            seen="",
        )
    activate_template(subject_id, template_id, on=service_of(request).stores, actor=session.key.key_id)
    return go(request, address, said="activate-template")


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


def _address(subject_id: str) -> str:
    return f"/console/subjects/{quote(subject_id, safe='')}"
