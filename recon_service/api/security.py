"""Who may call what: API keys with scopes, as a dependency that every endpoint under /v1 has."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from recon_service.api.service import service_of
from recon_service.application.keeping.keys import authenticate
from recon_service.application.records.access import ApiKey, Scope
from recon_service.domain.errors import Forbidden, Unauthenticated

SCHEME = {
    "ApiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `recon keys create NAME --scope enroll`. Scopes: enroll, verify, "
        "ops, confirm (beside verify), identify (a search among all who are enrolled).",
    }
}

CAPTURE_SCHEME = {
    "CaptureToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of one capture session: its id, a dot, and what follows the # of its link.",
    }
}


class Needs:
    """The endpoint serves keys that have at least one of these scopes."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes

    def __call__(self, request: Request) -> ApiKey:
        """Raises Unauthenticated, TooManyRequests, Forbidden. Asked before the body is read, and again by the
        framework after it: one request is counted once.
        """
        admitted: ApiKey | None = getattr(request.state, "admitted", None)
        if admitted is not None:
            return admitted
        service = service_of(request)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Unauthenticated(
                "the request has no API key", next_step="Send the header 'Authorization: Bearer <key>'."
            )
        key = authenticate(token.strip(), on=service.stores, allow_development=service.development_keys)
        request.state.api_key = key  # for the log, of refused requests too
        service.limiter.take(key.key_id)
        if not key.scopes.intersection(self.scopes):
            wanted = " or ".join(s.value for s in self.scopes)
            raise Forbidden(
                f"this endpoint needs the scope {wanted}",
                next_step=f"Use a key made with --scope {self.scopes[0].value}.",
            )
        request.state.admitted = key
        return key


OpsKey = Annotated[ApiKey, Depends(Needs(Scope.OPS))]
"""The key of whoever runs the service."""
