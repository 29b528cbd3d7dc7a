"""All pages of the console, with their style and script."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from fastapi.routing import APIRoute

from recon_service.console import access, batches, comparison, overview, subjects
from recon_service.console.rendering import FOLDER
from recon_service.domain.errors import NotFound

router = APIRouter(prefix="/console", include_in_schema=False)

STATIC: Final = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Style and script."""
    if name not in STATIC:
        raise NotFound("there is no such file")
    return FileResponse(
        FOLDER / "static" / name, media_type=STATIC[name], headers={"Cache-Control": "max-age=300"}
    )


# The comparison before the batches: its addresses are also such as a button of a batch has.
ROUTERS: Final = (
    router,
    access.router,
    overview.router,
    comparison.router,
    batches.router,
    subjects.router,
)
ROUTES: Final = [route for part in ROUTERS for route in part.routes if isinstance(route, APIRoute)]
