"""Swagger UI on a page of ours. Its files come with a Python package and are served from here: no other
server is asked for anything, and no script runs but these, for people type API keys into this page.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from recon_service.domain.errors import NotFound

router = APIRouter(include_in_schema=False)

FOLDER: Final = Path(__file__).parent
OURS: Final = ("start.js", "page.css")
SWAGGER_UI: Final = ("swagger-ui-bundle.js", "swagger-ui.css")
MEDIA: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
FOREVER: Final = "public, max-age=31536000, immutable"
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # Swagger UI sets styles by script alone, which needs no 'unsafe-inline'.
        "style-src 'self'",
        # Its icons are in its style; a picture that a call answers is shown from memory.
        "img-src 'self' data: blob:",
        # The description itself, and the calls that are tried.
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


@router.get("/docs")
def documentation() -> Response:
    """What `/openapi.json` says, for people, and its calls to be tried."""
    page = (FOLDER / "page.html").read_text("utf-8").replace("{version}", version())
    headers = {"Content-Security-Policy": POLICY, "Cross-Origin-Opener-Policy": "same-origin"}
    return HTMLResponse(page, headers=headers)


@router.get("/docs/{of}/{name}")
def asset(of: str, name: str) -> Response:
    """A script or style. Its address holds a digest of all of them, so browsers keep it for good."""
    if of != version() or name not in assets():
        raise NotFound("there is no such file", next_step="Open /docs again.")
    return Response(assets()[name], media_type=MEDIA[Path(name).suffix], headers={"Cache-Control": FOREVER})


@cache
def assets() -> dict[str, bytes]:
    """The files by name. Raises FileNotFoundError where an installation lacks one."""
    package = resources.files("fastapi_offline") / "static"
    return {name: (FOLDER / name).read_bytes() for name in OURS} | {
        name: (package / name).read_bytes() for name in SWAGGER_UI
    }


@cache
def version() -> str:
    """The beginning of the SHA-256 of the files."""
    return hashlib.sha256(b"".join(assets()[name] for name in sorted(assets()))).hexdigest()[:16]
