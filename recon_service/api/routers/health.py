"""Whether the service lives and works, and what its problems mean. The only addresses without an API key."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from recon_service import __version__
from recon_service.api import problems
from recon_service.api.schemas import LiveBody, ReadyBody
from recon_service.api.service import service_of
from recon_service.domain.errors import ReconError

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Is the process alive?")
async def live() -> LiveBody:
    """Answers as long as the process can answer anything."""
    return LiveBody(version=__version__)


@router.get(
    "/readyz",
    summary="Does every part work?",
    responses={200: {"model": ReadyBody}, 503: {"model": ReadyBody, "description": "A part does not work."}},
    response_model=ReadyBody,
)
def ready(request: Request) -> Response:
    """Database, objects, model files with their compute processes, and the worker."""
    parts: dict[str, str] = {}
    for name, check in service_of(request).checks.items():
        try:
            check()
        except ReconError as fault:
            parts[name] = fault.code
        else:
            parts[name] = "ok"
    works = all(state == "ok" for state in parts.values())
    body = ReadyBody(status="ready" if works else "not-ready", parts=parts)
    return JSONResponse(body.model_dump(), status_code=200 if works else 503)


@router.get(
    "/problems/{code}",
    summary="What a problem means",
    response_class=HTMLResponse,
    responses=problems.documented(404),
)
def problem(code: str) -> Response:
    """The page behind the `type` of an answer of the kind application/problem+json."""
    return problems.explain(code)
