"""Whether the service lives and works, and what its problems mean. The only addresses without an API key."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from recon_service import __version__
from recon_service.api import problems
from recon_service.api.schemas import example
from recon_service.api.schemas_health import LiveBody, ReadyBody
from recon_service.api.service import service_of
from recon_service.domain.errors import ReconError

router = APIRouter(tags=["health"])

_LIVE: Final = {"status": "alive", "version": __version__}
_PARTS: Final = {"database": "ok", "objects": "ok", "compute": "ok", "worker": "ok"}
_READY: Final = {"status": "ready", "parts": _PARTS}
_NOT_READY: Final = {"status": "not-ready", "parts": {**_PARTS, "database": "storage-unavailable"}}


@router.get(
    "/livez",
    summary="Is the process alive?",
    response_description="The process is alive.",
    responses={200: example(_LIVE)},
)
async def live() -> LiveBody:
    """Answers as long as the process can answer anything."""
    return LiveBody(version=__version__)


@router.get(
    "/readyz",
    summary="Does every part work?",
    response_description="Every part works.",
    responses={
        200: {"model": ReadyBody, **example(_READY)},
        503: {"model": ReadyBody, "description": "A part does not work.", **example(_NOT_READY)},
    },
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
    response_description="The page, for people.",
    response_class=HTMLResponse,
    responses=problems.documented(404, 422),
)
def problem(
    code: Annotated[str, Path(description="Last part of a problem's `type`.", examples=["not-found"])],
) -> Response:
    """The page behind the `type` of an answer of the kind application/problem+json."""
    return problems.explain(code)
