"""The pages and their files.

A page is HTML without any script or style in it, and a policy that lets it load from this service alone. The
names of scripts and styles hold a digest of their content, so browsers keep them for good.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from recon_service.domain.errors import NotFound, ServiceFault
from recon_service.weights import locate

router = APIRouter(include_in_schema=False)

STATIC: Final = Path(__file__).parent / "static"
LANGUAGES: Final = ("en", "ko")
MODELS: Final = {
    "face-detection.tflite": "face-detection-short-range",
    "face-landmarks.tflite": "face-landmark",
}
"""What the page runs on the device: the very files that the service itself uses."""
FOREVER: Final = "public, max-age=31536000, immutable"
MEDIA: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".json": "application/json",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SESSION = re.compile(r"cap_[0-9a-f]{32}")


class PagesNotBuilt(ServiceFault):
    """The web pages were not built into this installation."""

    code = "pages-not-built"
    title = "The web pages are missing"


def security_headers(*, camera: bool) -> dict[str, str]:
    """Of a page. wasm-unsafe-eval allows to compile WebAssembly, not to evaluate text."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self' 'wasm-unsafe-eval'" if camera else "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "media-src": "'self' blob:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "worker-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Permissions-Policy": f"camera=({'self' if camera else ''}), microphone=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def language_of(accept: str) -> str:
    """The page's language for an Accept-Language header; English where it names none of ours."""
    wishes: list[tuple[float, str]] = []
    for part in accept.split(","):
        tag, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.strip().removeprefix("q=") or 1.0)
        except ValueError:
            continue
        wishes.append((weight, tag.strip().lower().partition("-")[0]))
    wishes.sort(key=lambda wish: -wish[0])
    return next((tag for weight, tag in wishes if weight > 0 and tag in LANGUAGES), LANGUAGES[0])


@router.get("/enroll/{session_id}")
def enroll(request: Request, session_id: str, lang: str = "") -> Response:
    """The capture page. The path names the session; the secret is behind the # and never comes here."""
    if not _SESSION.fullmatch(session_id):
        raise NotFound("there is no such page", next_step="Open the link as you were given it.")
    language = lang if lang in LANGUAGES else language_of(request.headers.get("accept-language", ""))
    return _page(f"capture.{language}.html", camera=True)


@router.get("/viewer")
def viewer() -> Response:
    """The viewer of templates: what it shows, it asks for with the reader's API key."""
    return _page("viewer.html", camera=False)


@router.get("/web/models/{name}")
async def model(name: str) -> Response:
    """A model file of the service, for the face model on the device."""
    if name not in MODELS:
        raise _no_such_file()
    content = await run_in_threadpool(_model, name)
    return Response(
        content, media_type="application/octet-stream", headers={"Cache-Control": "public, max-age=86400"}
    )


@router.get("/web/assets/{name}")
def asset(request: Request, name: str) -> Response:
    """A script, style, font or kernel. Compressed at build time for browsers that say they take it."""
    suffix = Path(name).suffix
    if not _NAME.fullmatch(name) or suffix not in MEDIA:
        raise _no_such_file()
    # A worker has the policy of its own script, not of the page: without one it could fetch nothing.
    headers = {**security_headers(camera=True), "Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    path = STATIC / "assets" / name
    accepted = request.headers.get("accept-encoding", "")
    for coding, ending in (("br", ".br"), ("gzip", ".gz")):
        packed = path.with_name(name + ending)
        if re.search(rf"\b{coding}\b", accepted) and packed.is_file():
            return Response(
                packed.read_bytes(),
                media_type=MEDIA[suffix],
                headers={**headers, "Content-Encoding": coding},
            )
    if not path.is_file():
        raise _no_such_file()
    return Response(path.read_bytes(), media_type=MEDIA[suffix], headers=headers)


def _page(name: str, *, camera: bool) -> Response:
    path = STATIC / name
    if not path.is_file():
        raise PagesNotBuilt("the web pages were not built into this installation", next_step="Run: make web")
    headers = {**security_headers(camera=camera), "Vary": "Accept-Language"}
    return Response(path.read_bytes(), media_type="text/html; charset=utf-8", headers=headers)


@cache
def _model(name: str) -> bytes:
    return locate(MODELS[name]).read_bytes()


def _no_such_file() -> NotFound:
    return NotFound("there is no such file")
