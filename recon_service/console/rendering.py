"""Templates of the console's pages: everything that is written into them is escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
from fastapi.responses import HTMLResponse

FOLDER: Final = Path(__file__).parent
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # A face that was asked for comes in the body of an answer.
        "img-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
TONES: Final = {
    "good": {"succeeded", "active", "ready", "MATCH"},
    "bad": {"failed", "NO_MATCH", "PRESENTATION_ATTACK"},
    "warning": {"rejected", "cancelled", "paused", "needs-new-selfie", "INCONCLUSIVE", "rolled-back"},
}


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (ago, span, moment, tone, count, sentence, shortly, unsigned_zero):
        made.filters[filter_.__name__] = filter_
    return made


def page(name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, which loads nothing but what this service serves."""
    content = _environment().get_template(name).render(now=datetime.now(UTC), **values)
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        # Forms say where they come from, other sites hear nothing.
        "Referrer-Policy": "same-origin",
    }
    return HTMLResponse(content, status_code=status, headers=headers)


def span(seconds: float | None) -> str:
    """A duration as people say it: 45 s, 3 min, 2.5 h, 3 d."""
    if seconds is None:
        return "–"
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            value = seconds / size
            return f"{value:.1f} {unit}" if value < 10 and unit != "min" else f"{value:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(then: datetime | None) -> str:
    """How long ago."""
    return "–" if then is None else f"{span(max(0.0, (datetime.now(UTC) - then).total_seconds()))} ago"


def moment(then: datetime | None) -> str:
    """A moment in UTC, to the second."""
    return "–" if then is None else f"{then.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def count(number: int) -> str:
    """With thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def tone(word: object) -> str:
    """Which color a state has."""
    return next((name for name, words in TONES.items() if str(word) in words), "plain")


def sentence(text: str) -> str:
    """With a capital letter and an end."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""


def shortly(identifier: str) -> str:
    """The beginning of an identifier, enough to tell it from others."""
    return identifier.partition("_")[2][:8] or identifier[:8]


def unsigned_zero(number: str) -> str:
    """A number as it is written, without the sign of a zero."""
    return number if any(digit in number for digit in "123456789") else number.removeprefix("-")
