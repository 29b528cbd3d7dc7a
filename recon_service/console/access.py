"""Signing in and out, and who is signed in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from recon_service.api.service import service_of
from recon_service.console.places import HOME, back_to
from recon_service.console.rendering import page
from recon_service.console.sessions import COOKIE, LIFETIME, SignedIn, check_form, sign_in, signed_in
from recon_service.domain.errors import CallerError, Forbidden

router = APIRouter(prefix="/console", include_in_schema=False)


def session_of(request: Request) -> SignedIn:
    """Raises Unauthenticated, Forbidden, TooManyRequests, StorageFault."""
    service = service_of(request)
    session = signed_in(
        request.cookies.get(COOKIE, ""), on=service.stores, allow_development=service.development_keys
    )
    request.state.api_key = session.key  # for the log
    request.state.session = session  # for the head of a page that tells of a fault
    service.limiter.take(session.key.key_id)
    return session


Session = Annotated[SignedIn, Depends(session_of)]
FormToken = Annotated[str, Form(max_length=200)]


@router.get("/sign-in")
def sign_in_page(next: str = "", undone: str = "") -> Response:
    """Asks for an API key. next: where somebody wants to go; undone: a form was sent when the session had
    ended.
    """
    return page("sign_in.html", refusal="", next=back_to(next) if next else "", undone=bool(undone))


@router.post("/sign-in")
def do_sign_in(
    request: Request, api_key: Annotated[str, Form()] = "", next: Annotated[str, Form()] = ""
) -> Response:
    """A cookie for an API key that may see the console, and on to where somebody wanted to go."""
    service = service_of(request)
    try:
        cookie = sign_in(api_key, on=service.stores, allow_development=service.development_keys)
    except CallerError as refusal:
        place, known = back_to(next) if next else "", isinstance(refusal, Forbidden)
        request.state.problem_code = refusal.code
        said = f"{refusal}" if known else "There is no such API key, or it was revoked."
        return page("sign_in.html", status=403 if known else 401, refusal=said, next=place, undone=False)
    answer = RedirectResponse(back_to(next), status_code=303)
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LIFETIME.total_seconds()),
        path=HOME,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/sign-out")
def do_sign_out(session: Session, form_token: FormToken) -> Response:
    """Forget the cookie."""
    check_form(session, form_token)
    answer = RedirectResponse(f"{HOME}/sign-in", status_code=303)
    answer.delete_cookie(COOKIE, path=HOME)
    return answer
