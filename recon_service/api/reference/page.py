"""The page: HTML without any script, which loads nothing but a style sheet of this service. So it can be read
where there is no way out to other servers, and nobody else's code runs where API keys are.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from recon_service.api.reference.outline import outline
from recon_service.api.reference.prose import inline, prose

router = APIRouter(include_in_schema=False)

FOLDER: Final = Path(__file__).parent
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


@router.get("/docs")
def reference(request: Request) -> Response:
    """What `/openapi.json` says, for people."""
    state = request.app.state
    if not hasattr(state, "reference_page"):
        state.reference_page = written(request.app.openapi())
    return HTMLResponse(state.reference_page, headers={"Content-Security-Policy": POLICY})


@router.get("/docs/reference.css")
def style() -> Response:
    """Its style."""
    return Response((FOLDER / "reference.css").read_bytes(), media_type="text/css; charset=utf-8")


def written(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    return _environment().get_template("reference.html").render(api=outline(document))


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(inline=inline, prose=prose)
    return made
