"""Addresses of the console that somebody may be sent back to."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from fastapi import Request

HOME: Final = "/console"
LONGEST: Final = 2000
_ADDRESS: Final = re.compile(
    r"/console(?:/[A-Za-z0-9._~%:@!$&'()*+,;=-]+)*(?:\?[A-Za-z0-9._~%:@!$&'()*+,;=/?-]*)?"
)
_NO_PAGES: Final = ("sign-in", "sign-out", "static")


def is_of_console(path: str) -> bool:
    """Whether a path belongs to the console."""
    return path == HOME or path.startswith(f"{HOME}/")


def back_to(address: str) -> str:
    """``address`` where it is a page of the console, else the overview: what a link says about where to go
    after signing in is anybody's word, and must not lead elsewhere.
    """
    path = address.partition("?")[0]
    segments = [unquote(segment) for segment in path.split("/")[2:]]
    if len(address) > LONGEST or not _ADDRESS.fullmatch(address) or {".", ".."} & set(segments):
        return HOME
    return HOME if segments and segments[0] in _NO_PAGES else address


def place_of(request: Request) -> str:
    """The page that somebody was on: the one that is asked for, or that of the form which was sent."""
    asked = request.headers.get("referer", "") if request.method == "POST" else str(request.url)
    try:
        split = urlsplit(asked)
    except ValueError:
        return HOME
    return back_to(f"{split.path}?{split.query}" if split.query else split.path)
