"""A page for somebody who is signed in, and what a button did: said once, on the next page."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from recon_service.console.places import HOME
from recon_service.console.rendering import count, page
from recon_service.console.sessions import SignedIn

COOKIE: Final = "recon_console_said"
REFRESH: Final = "X-Console-Refresh"
"""A header of requests by which a page refreshes itself: they take no word from the page that comes next."""
SAID: Final = {
    "pause": "Paused. Nothing more is begun; what was under way ends.",
    "resume": "Resumed. Workers go on where they were.",
    "cancel": "Canceled for good. What succeeded before may still be activated.",
    "activate": "The activation has begun, subject by subject. It can be rolled back.",
    "roll-back": "The roll-back has begun, subject by subject. The candidates stay for another time.",
    "retry-failed": "What failed waits again. Items: {number}.",
    "nothing-failed": "There was nothing to try again.",
    "already": "Done already: there was nothing more to change.",
    "evaluate": "Asked for. A worker that has nothing more urgent tries both ways; this page follows it.",
    "evaluated": "Tried already, by these very ways: nothing was changed.",
    "activate-template": "This version is compared with from now on. The one before is kept.",
    "retry": "The enrollment waits again, with all its attempts.",
}


def show(request: Request, session: SignedIn, name: str, **values: Any) -> Response:
    """The page, with what was said for it."""
    code, _, number = request.cookies.get(COOKIE, "").partition(".")
    said = ""
    if code in SAID and REFRESH not in request.headers:
        said = SAID[code].format(number=count(int(number)) if number.isdecimal() else "–")
    answer = page(name, session=session, path=request.url.path, said=said, **values)
    if said:
        answer.delete_cookie(COOKIE, path=HOME)
    return answer


def go(request: Request, address: str, *, said: str, number: int | None = None) -> Response:
    """On to ``address``, where it is told what was done: a key of ``SAID``. What is told is no part of the
    address, where a link could claim it.
    """
    answer = RedirectResponse(address, status_code=303)
    answer.set_cookie(
        COOKIE,
        said if number is None else f"{said}.{number}",
        max_age=60,
        path=HOME,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def ask_first(request: Request, session: SignedIn, *, question: str, label: str, **values: Any) -> Response:
    """The question before what has consequences, where no script has asked it. values: ``address`` of the
    button, ``back``, ``seen``, ``careful``.
    """
    return show(request, session, "confirm.html", question=question, label=label, **values)
