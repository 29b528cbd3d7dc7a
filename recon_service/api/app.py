"""The FastAPI application: routers, problems, security and their description in OpenAPI."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.types import Lifespan

from recon_service import __version__
from recon_service.api import guidance
from recon_service.api.body_limits import BodyLimits
from recon_service.api.compute_turns import ComputeTurns
from recon_service.api.description import DESCRIPTION, TAGS
from recon_service.api.documentation import page as documentation
from recon_service.api.middleware import RequestFrame
from recon_service.api.operation_watch import OperationWatch
from recon_service.api.problem_codes import codes_of, tell_codes
from recon_service.api.problems import add_problem_handlers, documented
from recon_service.api.routers import (
    administration,
    batch_steering,
    batches,
    captures,
    consents,
    edge,
    enrollments,
    exchange,
    health,
    identifications,
    inspections,
    kiosk_sessions,
    lockouts,
    models,
    operations,
    quality_checks,
    subjects,
    template_pictures,
    templates_visits,
    verifications,
    webhooks,
)
from recon_service.api.schemas import ProblemBody
from recon_service.api.security import CAPTURE_SCHEME, SCHEME, Needs
from recon_service.api.service import Service
from recon_service.api.upload_memory import REQUESTS, UploadMemory, UploadShares
from recon_service.application.enrolling.operations import operation_versions
from recon_service.console import pages as console
from recon_service.web import pages

NOUNS = (
    administration,
    enrollments,
    captures,
    operations,
    subjects,
    consents,
    template_pictures,
    templates_visits,
    exchange,
    kiosk_sessions,
    verifications,
    identifications,
    edge,
    lockouts,
    batches,
    batch_steering,
    models,
    quality_checks,
    webhooks,
    health,
    inspections,
)


def create_app(service: Service, *, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The application that serves ``service``."""
    app = FastAPI(
        title="recon-service",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        # The framework's pages run scripts of other servers.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    app.state.endpoints = api_routes()
    for noun in NOUNS:
        app.include_router(noun.router)
    for unlisted in (documentation.router, guidance.router, pages.router, *console.ROUTERS):
        app.include_router(unlisted)
    add_problem_handlers(app)
    limited = [*api_routes(), *console.ROUTES]
    app.add_middleware(BodyLimits, endpoints=limited, seconds=service.settings.upload_seconds)
    app.state.compute_turns = ComputeTurns()
    app.state.operation_watch = OperationWatch(partial(operation_versions, on=service.stores))
    app.state.upload_memory = UploadMemory(REQUESTS * service.settings.max_request_bytes)
    app.add_middleware(UploadShares, memory=app.state.upload_memory)
    app.add_middleware(RequestFrame, vault=service.stores.vault, telemetry=service.telemetry)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def needed_scopes(route: APIRoute) -> tuple[str, ...]:
    """The scopes of an endpoint, any of which will do; empty: it asks for no key."""
    calls = [d.call for d in route.dependant.dependencies]
    return tuple(s.value for call in calls if isinstance(call, Needs) for s in call.scopes)


def needs_capture(route: APIRoute) -> bool:
    """Whether the endpoint asks for the token of a capture session."""
    return any(isinstance(d.call, captures.NeedsCapture) for d in route.dependant.dependencies)


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        components = schema.setdefault("components", {})
        components["securitySchemes"] = {**SCHEME, **CAPTURE_SCHEME}
        components.setdefault("schemas", {}).setdefault("ProblemBody", ProblemBody.model_json_schema())
        for route in api_routes():
            scopes = needed_scopes(route)
            for method in route.methods or ():
                entry = schema["paths"][route.path][method.lower()]
                # Alternatives: one requirement object per scope that opens the endpoint.
                entry["security"] = [{"ApiKey": [scope]} for scope in scopes]
                _restore_examples(entry["responses"], route)
                if needs_capture(route):
                    entry["security"] = [{"CaptureToken": []}]
                # Answered before the endpoint runs: a key without requests left; a body that cannot be
                # read, comes too slowly or is too large (``body_limits.py``).
                early = [429] * bool(scopes) + [400, 408, 413] * (route.body_field is not None)
                for status, answer in documented(*early).items():
                    entry["responses"].setdefault(str(status), answer)
                tell_codes(entry, codes_of(route, method))
        app.openapi_schema = schema
    return app.openapi_schema


def _restore_examples(answers: dict[str, Any], route: APIRoute) -> None:
    """As they were written: the framework drops every null, also where it shows what absence looks like."""
    for status, answer in route.responses.items():
        written = answer.get("content", {}).get("application/json", {})
        for key in ("example", "examples"):
            if key in written:
                answers[str(status)]["content"]["application/json"][key] = written[key]


def api_routes() -> list[APIRoute]:
    """Every endpoint of ours."""
    return [r for noun in NOUNS for r in noun.router.routes if isinstance(r, APIRoute)]
