"""Which problems an endpoint can answer with, beside their statuses: what `scripts/problem_codes.py` derived
from the code, and what is answered before and around every endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fastapi.routing import APIRoute

from recon_service.api.problems import MEDIA_TYPE, problem_example, titles

ANYWHERE: Final = ("storage-unavailable", "internal-fault")


@cache
def _derived() -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = json.loads(files(__package__).joinpath("problem_codes.json").read_text())
    return found


def codes_of(route: APIRoute, method: str) -> frozenset[str]:
    """Codes of problems, whatever their status. Raises KeyError for an endpoint that is not in the file."""
    codes = {*_derived()[f"{method} {route.path}"], *ANYWHERE}
    if route.dependant.path_params or route.dependant.query_params or route.body_field is not None:
        codes.add("invalid-value")
    if route.body_field is not None:  # read by ``body_limits.py``, and by the framework
        codes |= {"bad-request", "payload-too-large", "upload-too-slow"}
    return frozenset(codes)


def tell_codes(operation: dict[str, Any], codes: frozenset[str]) -> None:
    """Names them in an operation of OpenAPI: each with an example, in the answer of its status."""
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get(MEDIA_TYPE)
        named = {c: title for c, (of, title) in titles().items() if str(of) == status and c in codes}
        if content is None or not named:
            continue
        content.pop("example", None)
        content["examples"] = {
            code: {"summary": title, "value": problem_example(int(status), code, title)}
            for code, title in sorted(named.items())
        }
        answer["description"] += ": " + ", ".join(f"`{code}`" for code in sorted(named))
