"""What somebody meets in a browser when the console cannot do what was asked: a page that says what happened
and what to do next. Whoever does not ask for HTML gets the problem as the API tells it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from recon_service.console.access import session_of
from recon_service.console.places import HOME, is_of_console, place_of
from recon_service.console.rendering import page
from recon_service.domain.errors import ReconError
from recon_service.telemetry.context import TraceContext

if TYPE_CHECKING:  # it comes from there
    from recon_service.api.schemas import ProblemBody

LISTS: Final = {
    "batches": ("/console/batches", "All batches"),
    "subjects": ("/console/subjects", "Look somebody up"),
    "given-up": ("/console/given-up", "All that were given up"),
}
TITLES: Final = {403: "Not allowed", 404: "Not found", 405: "This address is of a button"}
DETAILS: Final = {405: "There is nothing to see here: it is where a button sends its form."}
ADVICE: Final = {
    404: "It may be gone, or the address is not whole. Choose it from a list.",
    405: "Open the page that has the button, and press it there.",
    422: "Go back, correct it, and try again.",
    429: "Wait a minute, and try again.",
    500: "Try again. If it fails again, report the code and the trace below.",
    503: "Wait a few seconds, and try again.",
}
"""Where the problem's own advice is for callers of the API, or there is none."""
_FOR_CALLERS: Final = re.compile(
    r"\b(GET|POST|PUT|DELETE) /|/docs\b|\bthe (request|instance)\b", re.IGNORECASE
)
_WHERE: Final = re.compile(r"\b(body|query|path)\.(?=\w+:)")


def wants_page(request: Request) -> bool:
    """Whether it was a person with a browser who asked, for something of the console."""
    return is_of_console(request.url.path) and "text/html" in request.headers.get("accept", "")


def fault_page(request: Request, problem: ProblemBody, headers: Mapping[str, str]) -> Response:
    """The problem as a page, with its status; whoever is not signed in is asked to, and comes back."""
    if problem.status == 401:
        return _to_sign_in(request)
    place = place_of(request)
    first = request.url.path.removeprefix(HOME).strip("/").partition("/")[0]
    links = [LISTS[first]] if first in LISTS else []
    if request.method == "POST" and place != HOME:
        links.insert(0, (place, "Back to the page"))
    elif request.method == "GET" and (problem.status >= 500 or problem.status == 429):
        links.insert(0, (place, "Try again"))
    trace = TraceContext.parse(getattr(request.state, "traceparent", ""))
    answer = page(
        "problem.html",
        status=problem.status,
        path=request.url.path,
        title=TITLES.get(problem.status, problem.title),
        detail=DETAILS.get(problem.status, _WHERE.sub("", problem.detail)),
        advice=_advice(problem),
        code=problem.type.rpartition("/")[2],
        code_page=problem.type,
        trace=trace.trace_id if trace else "",
        number=getattr(request.state, "request_id", ""),
        links=links,
        **_session(request, problem.status),
    )
    answer.headers.update(headers)
    return answer


def _advice(problem: ProblemBody) -> str:
    if problem.next_step and not _FOR_CALLERS.search(problem.next_step):
        return problem.next_step
    return ADVICE.get(problem.status, ADVICE[500] if problem.status >= 500 else "")


def _session(request: Request, status: int) -> dict[str, object]:
    """For the head of the page. An address that is none of ours was not asked who is signed in."""
    if not hasattr(request.state, "session") and status < 500:
        with suppress(ReconError):
            session_of(request)
    session = getattr(request.state, "session", None)
    return {} if session is None else {"session": session}


def _to_sign_in(request: Request) -> Response:
    place, pressed = place_of(request), request.method == "POST"
    if request.url.path == f"{HOME}/sign-out":
        return RedirectResponse(f"{HOME}/sign-in", status_code=303)
    asked = ({"next": place} if place != HOME else {}) | ({"undone": "yes"} if pressed else {})
    return RedirectResponse(f"{HOME}/sign-in{'?' if asked else ''}{urlencode(asked)}", status_code=303)
