from __future__ import annotations

import dataclasses
import itertools
import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recon_service.api.app import api_routes, create_app, needed_scopes, needs_capture
from recon_service.api.service import Service
from recon_service.application.keeping.keys import create_api_key, ensure_development_key, revoke_api_key
from recon_service.application.records.access import Scope
from tests.unit.api.conftest import authorization

OPEN = {"/livez", "/readyz", "/problems/{code}"}
NEEDED = {
    ("POST", "/v1/subjects/{subject_id}/enrollments"): {"enroll"},
    ("GET", "/v1/operations/{operation_id}"): {"enroll", "ops"},
    ("GET", "/v1/operations"): {"ops"},
    ("POST", "/v1/operations/{operation_id}/retry"): {"ops"},
    ("GET", "/v1/subjects/{subject_id}/templates"): {"enroll", "ops"},
    ("GET", "/v1/subjects/{subject_id}/templates/{template_id}/mesh.glb"): {"enroll", "ops"},
    ("GET", "/v1/subjects/{subject_id}/templates/{template_id}/picture.png"): {"ops"},
    ("DELETE", "/v1/subjects/{subject_id}"): {"ops"},
    ("POST", "/v1/subjects/{subject_id}/verifications"): {"verify"},
    ("POST", "/v1/quality-checks"): {"enroll"},
    ("POST", "/v1/identifications"): {"identify"},
    ("POST", "/v1/sites/{site}/kiosks"): {"ops"},
    ("DELETE", "/v1/sites/{site}/kiosks/{kiosk_id}"): {"ops"},
    ("PUT", "/v1/sites/{site}/subjects/{subject_id}"): {"ops"},
    ("DELETE", "/v1/sites/{site}/subjects/{subject_id}"): {"ops"},
    ("POST", "/v1/sites/{site}/bundles"): {"verify", "ops"},
    ("GET", "/v1/sites/{site}/revocations"): {"verify", "ops"},
    ("POST", "/v1/edge-reports"): {"verify"},
    ("GET", "/v1/operations/{operation_id}/duplicates"): {"enroll", "ops"},
    ("GET", "/v1/duplicates"): {"ops"},
    ("POST", "/v1/subjects/{subject_id}/templates/{template_id}:activate"): {"ops"},
    ("GET", "/v1/subjects/{subject_id}/visits"): {"ops"},
    ("DELETE", "/v1/subjects/{subject_id}/visits/{visit_id}"): {"ops"},
    ("GET", "/v1/consents"): {"ops"},
    ("GET", "/v1/subjects/{subject_id}/consent"): {"enroll", "ops"},
    ("PUT", "/v1/subjects/{subject_id}/consent"): {"enroll", "ops"},
    ("POST", "/v1/kiosk-sessions"): {"verify", "identify"},
    ("POST", "/v1/kiosk-sessions/{session_id}/nonces"): {"verify", "identify"},
    ("GET", "/v1/subjects"): {"ops"},
    ("GET", "/v1/api-keys"): {"ops"},
    ("POST", "/v1/api-keys"): {"ops"},
    ("DELETE", "/v1/api-keys/{key_id}"): {"ops"},
    ("GET", "/v1/audit-entries"): {"ops"},
    ("POST", "/v1/audit-checks"): {"ops"},
    ("POST", "/v1/batches"): {"ops"},
    ("GET", "/v1/batches"): {"ops"},
    ("GET", "/v1/batches/{batch_id}"): {"ops"},
    ("GET", "/v1/batches/{batch_id}/items"): {"ops"},
    ("POST", "/v1/batches/{batch_id}:pause"): {"ops"},
    ("POST", "/v1/batches/{batch_id}:resume"): {"ops"},
    ("POST", "/v1/batches/{batch_id}:cancel"): {"ops"},
    ("POST", "/v1/batches/{batch_id}:activate"): {"ops"},
    ("POST", "/v1/batches/{batch_id}:rollback"): {"ops"},
    ("POST", "/v1/batches/{batch_id}:retry-failed"): {"ops"},
    ("GET", "/v1/models"): {"ops"},
    ("GET", "/v1/batches/{batch_id}/comparison"): {"ops"},
    ("GET", "/v1/batches/{batch_id}/evaluations"): {"ops"},
    ("POST", "/v1/batches/{batch_id}:evaluate"): {"ops"},
    ("POST", "/v1/webhooks"): {"ops"},
    ("GET", "/v1/webhooks"): {"ops"},
    ("DELETE", "/v1/webhooks/{webhook_id}"): {"ops"},
    ("POST", "/v1/webhooks/{webhook_id}/ping"): {"ops"},
    ("GET", "/v1/webhooks/{webhook_id}/deliveries"): {"ops"},
    ("POST", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/retry"): {"ops"},
    ("GET", "/v1/exchange-identity"): {"ops"},
    ("POST", "/v1/template-exports"): {"ops"},
    ("POST", "/v1/template-imports"): {"ops"},
    ("DELETE", "/v1/subjects/{subject_id}/lock-out"): {"ops"},
    ("DELETE", "/v1/api-keys/{key_id}/lock-out"): {"ops"},
    ("POST", "/v1/capture-sessions"): {"enroll"},
    ("GET", "/v1/subjects/{subject_id}/templates/{template_id}/inspection"): {"ops"},
    ("POST", "/v1/subjects/{subject_id}/templates/{template_id}/inspection"): {"ops"},
}


def endpoints(app: FastAPI) -> list[tuple[str, str, set[str]]]:
    found = [(m, r.path, set(needed_scopes(r))) for r in api_routes() for m in r.methods or ()]
    served = {(m.upper(), path) for path, methods in app.openapi()["paths"].items() for m in methods}
    assert {(m, path) for m, path, _ in found} == served, (
        "an endpoint that the application serves is not checked"
    )
    return found


def test_every_endpoint_asks_for_a_scope_except_the_open_ones(app: FastAPI) -> None:
    by_token = {route.path for route in api_routes() if needs_capture(route)}
    found = {(method, path): scopes for method, path, scopes in endpoints(app) if path not in OPEN | by_token}
    assert found == NEEDED
    assert all(not scopes for _, path, scopes in endpoints(app) if path in OPEN)


def test_every_endpoint_refuses_every_key_without_its_scope(
    app: FastAPI, client: TestClient, service: Service
) -> None:
    keys = {
        scopes: authorization(service.stores, *scopes)
        for count in (1, 2)
        for scopes in itertools.combinations(Scope, count)
    }
    for method, path, needed in endpoints(app):
        if not needed:
            continue
        address = re.sub(r"{[^}]+}", "x", path)
        assert client.request(method, address).status_code == 401
        for scopes, headers in keys.items():
            status = client.request(method, address, headers=headers).status_code
            if needed.isdisjoint(s.value for s in scopes):
                assert status == 403, (method, path, scopes)
            else:
                assert status not in (401, 403), (method, path, scopes)


def test_refusals_are_problems_and_say_how_to_go_on(client: TestClient, service: Service) -> None:
    unknown = client.get("/v1/operations/x")
    assert unknown.headers["www-authenticate"].startswith("Bearer")
    assert unknown.json()["type"] == "/problems/unauthenticated"
    forbidden = client.delete("/v1/subjects/x", headers=authorization(service.stores, Scope.VERIFY))
    assert forbidden.json()["type"] == "/problems/forbidden"
    assert "--scope ops" in forbidden.json()["next_step"]


def test_wrong_keys_all_get_the_same_answer(client: TestClient, service: Service) -> None:
    made = create_api_key("a", [Scope.OPS], on=service.stores)
    other = create_api_key("b", [Scope.OPS], on=service.stores)
    revoked = create_api_key("c", [Scope.OPS], on=service.stores)
    revoke_api_key(revoked.key.key_id, on=service.stores)
    swapped = f"recon_{made.key.key_id}_{other.token.rsplit('_', 1)[1]}"
    tokens = [
        swapped,
        revoked.token,
        made.token[:-1],
        made.token + "0",
        made.token.replace("recon_", "Recon_"),
        "recon_000000000000_" + 64 * "0",
        "recon__",
        "x",
        "recon_" + "9" * 5000 + "_1",
        "é",
    ]
    answers = [
        client.get("/v1/operations/x", headers={"Authorization": f"Bearer {t}".encode()}) for t in tokens
    ]
    assert {a.status_code for a in answers} == {401}
    assert len({a.json()["detail"] for a in answers}) == 1
    for scheme in (f"Basic {made.token}", made.token, "Bearer", ""):
        assert client.get("/v1/operations/x", headers={"Authorization": scheme}).status_code == 401
    assert (
        client.get("/v1/operations/x", headers={"Authorization": f"bearer {made.token}"}).status_code == 404
    )


def test_the_development_key_is_made_once_and_only_for_this_machine(fresh_service: Service) -> None:
    service, app = fresh_service, create_app(fresh_service)
    client = TestClient(app)
    made = ensure_development_key(on=service.stores)
    assert made is not None
    assert ensure_development_key(on=service.stores) is None
    headers = {"Authorization": f"Bearer {made.token}"}
    assert client.get("/v1/operations/x", headers=headers).status_code == 404
    app.state.service = dataclasses.replace(service, development_keys=False)
    assert client.get("/v1/operations/x", headers=headers).status_code == 401


def test_no_secret_shows_in_representations(service: Service) -> None:
    made = create_api_key("a", [Scope.OPS], on=service.stores)
    assert made.token not in repr(made)
    assert "secret" not in repr(made.key)


@pytest.mark.parametrize("path", ["/livez", "/v1/operations/x", "/nothing", "/openapi.json"])
def test_careful_headers_on_every_answer(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert len(headers["x-request-id"]) >= 8
