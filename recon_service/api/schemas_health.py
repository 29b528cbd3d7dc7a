"""Bodies of the platform's questions, as they are on the wire."""

from __future__ import annotations

from typing import Literal

from recon_service.api.schemas import Body


class LiveBody(Body):
    """The process answers."""

    status: Literal["alive"] = "alive"
    version: str


class ReadyBody(Body):
    """Whether every part works; ``ok`` or the problem's code by part."""

    status: Literal["ready", "not-ready"]
    parts: dict[str, str]
