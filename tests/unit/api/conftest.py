"""The application in this process, on real stores; nothing computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from recon_service.api import problems
from recon_service.api.app import api_routes, create_app
from recon_service.api.problem_codes import codes_of
from recon_service.api.service import Service
from recon_service.application.keeping.keys import create_api_key
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import Scope
from recon_service.bootstrap import open_stores
from recon_service.telemetry import configure_logging
from tests.stacks import STACKS, Stack, make_stack, settings_for
from tests.unit.application.stores import ListQueue, ScriptedCompute


@pytest.fixture(scope="package", params=STACKS)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with make_stack(request.param, request) as stack:
        yield from make_service(tmp_path_factory.mktemp("api"), stack)


@pytest.fixture
def fresh_service(tmp_path: Path, stack: Stack) -> Iterator[Service]:
    yield from make_service(tmp_path, stack)


def make_service(tmp_path: Path, stack: Stack) -> Iterator[Service]:
    configure_logging(level="error", format="json")
    small = settings_for(
        stack, tmp_path / "state", max_selfie_bytes=2000, max_request_bytes=5000, upload_seconds=0.5
    )
    opened = open_stores(small)
    yield Service(small, opened.stores, ScriptedCompute(), ListQueue(), development_keys=True, checks={})
    opened.close()


@pytest.fixture(autouse=True)
def only_problems_that_are_named(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test provokes, the endpoint's description names its code."""
    unnamed: set[str] = set()
    answer = problems.problem_response

    def answered(request: Request, *, code: str, **rest: Any) -> Response:
        route = request.scope.get("route")
        known = isinstance(route, APIRoute) and (route.path, request.method) in described
        if known and code not in codes_of(route, request.method):
            unnamed.add(f"{request.method} {route.path}: {code}")
        return answer(request, code=code, **rest)

    described = {(route.path, method) for route in api_routes() for method in route.methods}
    monkeypatch.setattr(problems, "problem_response", answered)
    yield
    assert unnamed == set(), "what raises it says so in no docstring (scripts/problem_codes.py)"


@pytest.fixture
def app(service: Service) -> FastAPI:
    return create_app(service)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


def authorization(stores: Stores, *scopes: Scope) -> dict[str, str]:
    return {"Authorization": f"Bearer {create_api_key('test', scopes, on=stores).token}"}
