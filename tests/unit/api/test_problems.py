from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recon_service.api import (
    problems,
)
from recon_service.api.service import Service
from recon_service.application.records.access import Scope
from recon_service.domain.errors import CallerError, ReconError, ServiceFault
from tests.unit.api.conftest import authorization

ALL = problems._all_errors()


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_every_error_has_a_status_of_its_kind_and_a_page(kind: type[ReconError], client: TestClient) -> None:
    status = problems.status_of(kind)
    if issubclass(kind, CallerError) and kind.code != "settings-invalid":
        assert 400 <= status < 500
    if issubclass(kind, ServiceFault):
        assert status >= 500
    page = client.get(f"/problems/{kind.code}")
    assert page.status_code == 200
    assert kind.code in page.text


def test_codes_name_one_error_each() -> None:
    codes = [k.code for k in ALL]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_every_error_leaves_as_a_problem(kind: type[ReconError], app: FastAPI, client: TestClient) -> None:
    @app.get("/raises")
    def raises() -> None:
        raise kind("what happened", next_step="what to do")

    answer = client.get("/raises", headers={"X-Request-ID": "request-0001"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": f"/problems/{kind.code}",
        "title": kind.title,
        "status": answer.status_code,
        "detail": "what happened",
        "next_step": "what to do",
        "instance": "urn:recon:request:request-0001",
    }
    assert ("retry-after" in answer.headers) == (answer.status_code in (429, 503))


def test_what_nobody_foresaw_tells_nothing_about_the_inside(
    app: FastAPI, client: TestClient, capfd: Any
) -> None:
    @app.get("/breaks")
    def breaks() -> None:
        raise ZeroDivisionError("secret-of-the-inside")

    answer = client.get("/breaks")
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal-fault")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret-of-the-inside" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/x", 404), ("PUT", "/livez", 405), ("GET", "/problems/x", 404)]
)
def test_the_frameworks_own_errors_are_problems_too(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"


def test_request_ids_of_a_caller_are_kept_only_when_harmless(client: TestClient) -> None:
    assert client.get("/livez", headers={"X-Request-ID": "abc-12345"}).headers["x-request-id"] == "abc-12345"
    for hostile in ("short", "a" * 65, "with space", "line\\nbreak"):
        assert client.get("/livez", headers={"X-Request-ID": hostile}).headers["x-request-id"] != hostile


def test_bad_subject_ids_are_invalid_values(client: TestClient, service: Service) -> None:
    headers = authorization(service.stores, *Scope)
    for subject in ("a" * 65, "a%20b", "%C3%A4", "a%0A"):
        for method, path in (("GET", "templates"), ("POST", "enrollments"), ("POST", "verifications")):
            answer = client.request(method, f"/v1/subjects/{subject}/{path}", headers=headers)
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-value")


def test_openapi_describes_security_problems_and_examples(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    assert "ProblemBody" in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["tags"]
            assert operation["summary"]
            if path.startswith("/v1/"):
                assert operation["security"]
                assert "application/problem+json" in operation["responses"]["401"]["content"]
                answers = operation["responses"]
                success = next(answers[s] for s in ("200", "201", "202", "204") if s in answers)
                assert "content" in success or "204" in operation["responses"]
    enroll = document["paths"]["/v1/subjects/{subject_id}/enrollments"]["post"]
    assert "multipart/form-data" in enroll["requestBody"]["content"]
    assert "Location" in enroll["responses"]["202"]["headers"]
