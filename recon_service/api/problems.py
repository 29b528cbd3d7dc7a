"""RFC 9457 problems: one table from our errors to HTTP statuses, one shape for every error there can be."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from recon_service.api.schemas import ProblemBody
from recon_service.application import errors as use_case
from recon_service.console.faults import fault_page, wants_page
from recon_service.domain import errors as domain
from recon_service.domain.errors import ReconError
from recon_service.setting_names import SettingsInvalid
from recon_service.web.pages import PagesNotBuilt

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[Mapping[type[ReconError], int]] = {
    domain.CallerError: 400,
    domain.InvalidValue: 422,
    domain.ImageRejected: 422,
    domain.DepthRejected: 422,
    domain.ModelMismatch: 409,
    domain.NotFound: 404,
    domain.UnknownBackend: 422,
    domain.BackendUnavailable: 409,
    domain.Conflict: 409,
    domain.Unauthenticated: 401,
    domain.Forbidden: 403,
    use_case.IdempotencyKeyReused: 422,
    use_case.RequestInFlight: 409,
    use_case.PayloadTooLarge: 413,
    use_case.UnsupportedMedia: 415,
    use_case.UploadTooSlow: 408,
    use_case.TooManyRequests: 429,
    use_case.LockedOut: 429,
    use_case.KioskSessionRequired: 428,
    use_case.KioskProofInvalid: 403,
    use_case.RecipientNotAllowed: 403,
    use_case.ImportNotSetUp: 409,
    use_case.ExchangeFileRefused: 422,
    domain.ServiceFault: 500,
    domain.FitFailed: 500,
    domain.StorageFault: 500,
    domain.InsecureConfiguration: 500,
    SettingsInvalid: 500,
    use_case.StorageUnavailable: 503,
    use_case.PreconditionFailed: 412,
    use_case.ComputeFault: 500,
    use_case.TimeLimitReached: 503,
    use_case.MemoryLimitReached: 413,
    use_case.Overloaded: 503,
    domain.WeightsUnavailable: 503,
    PagesNotBuilt: 503,
    ReconError: 500,
}
"""A class that is not named here has the status of the closest ancestor that is."""

RETRY_AFTER_S: Final = {503: "2"}

HTTP_CODES: Final = {
    400: ("bad-request", "The request cannot be read"),
    401: ("unauthenticated", "API key missing or not valid"),
    403: ("forbidden", "The API key lacks a scope"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "The endpoint does not know this method"),
    408: ("upload-too-slow", "The request came too slowly"),
    413: ("payload-too-large", "The request is too large"),
    406: ("not-acceptable", "No answer in that format"),
    422: ("invalid-value", "Invalid value"),
    500: ("internal-fault", "The service failed"),
}
"""Problems that the framework finds before our code runs."""


def status_of(kind: type[ReconError]) -> int:
    """The HTTP status of an error class."""
    return next(STATUS[k] for k in kind.__mro__ if k in STATUS)


def problem_response(
    request: Request,
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    next_step: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer for a request that could not be served."""
    body = ProblemBody(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        next_step=next_step,
        instance=f"urn:recon:request:{getattr(request.state, 'request_id', 'unknown')}",
    )
    request.state.problem_code = code
    extra = dict(headers or {})
    if status in RETRY_AFTER_S:
        extra.setdefault("Retry-After", RETRY_AFTER_S[status])
    if wants_page(request):
        return fault_page(request, body, extra)
    if status == 401:
        extra.setdefault("WWW-Authenticate", 'Bearer realm="recon"')
    return JSONResponse(body.model_dump(), status_code=status, headers=extra, media_type=MEDIA_TYPE)


def internal_fault(request: Request) -> Response:
    """For what nobody foresaw: no word about the inside."""
    code, title = HTTP_CODES[500]
    return problem_response(
        request,
        status=500,
        code=code,
        title=title,
        detail="Something went wrong that is ours to mend.",
        next_step="Repeat the request; if it fails again, report the instance.",
    )


def problem_of(request: Request, fault: ReconError) -> Response:
    """The answer for one of our errors."""
    wait = getattr(fault, "retry_after_s", None)
    return problem_response(
        request,
        status=status_of(type(fault)),
        code=fault.code,
        title=fault.title,
        detail=fault.detail,
        next_step=fault.next_step,
        headers={"Retry-After": str(wait)} if wait else None,
    )


def add_problem_handlers(app: FastAPI) -> None:
    """Every error leaves the application as a problem."""
    app.add_exception_handler(ReconError, problem_of)  # type: ignore[arg-type]

    @app.exception_handler(HTTPException)
    def frameworks(request: Request, fault: HTTPException) -> Response:
        code, title = HTTP_CODES.get(fault.status_code, HTTP_CODES[400 if fault.status_code < 500 else 500])
        return problem_response(
            request,
            status=fault.status_code,
            code=code,
            title=title,
            detail=_DETAILS.get(fault.status_code, title + "."),
            next_step="The endpoints are listed at /docs." if fault.status_code in (404, 405) else "",
            headers=_allowed(request, fault),
        )

    @app.exception_handler(RequestValidationError)
    def validation(request: Request, fault: RequestValidationError) -> Response:
        # Where and what, never the value: it may be anything that the caller sent.
        what = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in fault.errors()[:5])
        code, title = HTTP_CODES[422]
        return problem_response(
            request, status=422, code=code, title=title, detail=what, next_step="See /docs."
        )


def _allowed(request: Request, fault: HTTPException) -> Mapping[str, str] | None:
    """All methods of an address: the framework names those of the first route only."""
    routes = [r for r in request.app.state.endpoints if r.matches(request.scope)[0] is not Match.NONE]
    if fault.status_code != 405 or not routes:
        return fault.headers
    # ``/things/{id}`` also matches ``/things/x:act``: the longest pattern is the address that is meant.
    longest = max((r.path for r in routes), key=len)
    return {"Allow": ", ".join(sorted({m for r in routes if r.path == longest for m in r.methods}))}


_DETAILS: Final = {
    408: "The body did not arrive in time.",
    413: "The body is larger than this endpoint reads.",
    404: "There is nothing at this address.",
    405: "This address does not know this method.",
}


def explain(code: str) -> Response:
    """The page behind a problem's ``type``. Raises NotFound for a code that does not exist."""
    for kind in _all_errors():
        if kind.code == code:
            about = (kind.__doc__ or "").strip()
            return _page(code, kind.title, about, status_of(kind), issubclass(kind, domain.ServiceFault))
    for status, (known, title) in HTTP_CODES.items():
        if known == code:
            return _page(code, title, _DETAILS.get(status, title + "."), status, status >= 500)
    raise domain.NotFound("there is no problem of that name")


def _page(code: str, title: str, about: str, status: int, is_fault: bool) -> Response:
    advice = (
        "The request was fine and the service was not: it may be repeated."
        if is_fault
        else "Repeating the request unchanged does not help; "
        "<code>next_step</code> in the answer says what does."
    )
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(code)}</title>"
        f"<h1>{html.escape(title)}</h1><p><code>{html.escape(code)}</code>, HTTP status {status}</p>"
        f"<p>{html.escape(about)}</p><p>{advice}</p></html>"
    )


def _all_errors() -> list[type[ReconError]]:
    # The stages' own errors: their packages are heavy, and needed here only when somebody reads such a page.
    import recon_service.depth.errors
    import recon_service.imaging.rejections
    import recon_service.weights.errors  # noqa: F401

    found: list[type[ReconError]] = [ReconError]
    for kind in found:
        found.extend(k for k in kind.__subclasses__() if _ours(k.__module__))
    return found


def _ours(module: str) -> bool:
    """Whether errors of that module can come out of this API. Those of the kiosk's own program cannot."""
    return module.startswith("recon_service.") and not module.startswith("recon_service.kiosk.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an endpoint in OpenAPI: the problems that it may answer with, each with an
    example.
    """
    return {status: _documented(status, *(HTTP_CODES | _OURS)[status]) for status in statuses}


def _documented(status: int, code: str, title: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    example = problem_example(status, code, title)
    return {"description": title, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}


def problem_example(status: int, code: str, title: str) -> dict[str, Any]:
    """As it is answered."""
    return ProblemBody(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail="What happened in this request.",
        next_step="What to do about it.",
        instance="urn:recon:request:0b1c2d3e4f5061728394a5b6c7d8e9f0",
    ).model_dump()


def titles() -> dict[str, tuple[int, str]]:
    """Of every code that there is, its status and title."""
    frameworks = {code: (status, title) for status, (code, title) in HTTP_CODES.items()}
    return frameworks | {kind.code: (status_of(kind), kind.title) for kind in _all_errors()}


_OURS: Final = {
    409: ("conflict", "Conflict with what is stored or under way"),
    412: ("precondition-failed", "It has changed meanwhile"),
    415: ("unsupported-media-type", "The body has the wrong format"),
    428: ("kiosk-session-required", "A kiosk session is required"),
    429: ("too-many-requests", "Too many requests, or locked out"),
    503: ("overloaded", "The service is busy or not ready"),
}
"""The commonest problem of a status that is ours alone."""
