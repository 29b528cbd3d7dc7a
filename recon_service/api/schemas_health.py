"""Bodies of the platform's questions, as they are on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from recon_service.api.schemas import Body


class LiveBody(Body):
    """The process answers."""

    status: Literal["alive"] = Field(default="alive", description="Always `alive`.")
    version: str = Field(description="Version of the service.")


class ReadyBody(Body):
    """Whether every part works; ``ok`` or the problem's code by part."""

    status: Literal["ready", "not-ready"] = Field(description="`ready` when every part works.")
    parts: dict[str, str] = Field(
        description="By part (`database`, `objects`, `compute`, `worker`): `ok`, or the code of its problem."
    )
