"""Text that no database stores, wherever a caller can put it: refused, on both stacks."""

from __future__ import annotations

import json
import re

import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import api_routes
from recon_service.api.service import Service
from recon_service.application.records.access import Scope
from tests.unit.api.conftest import authorization

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def headers(service: Service) -> dict[str, str]:
    return authorization(service.stores, *Scope)


def test_a_nul_in_an_address_is_no_fault_of_ours(client: TestClient, headers: dict[str, str]) -> None:
    faults = []
    for route in api_routes():
        wanted = [
            p for p in route.dependant.query_params if p.field_info.annotation not in (int, float, bool)
        ]
        query = "&".join(f"{p.alias}=a%00b" for p in wanted)
        path = re.sub(r"\{[^}]*\}", "a%00b", route.path)
        for method in route.methods:
            for asked in {path, f"{path}?{query}"}:
                answer = client.request(method, asked, headers=headers)
                if answer.status_code >= 500 and answer.json()["type"] != "/problems/overloaded":
                    faults.append((method, asked, answer.json()))
    assert faults == []


@pytest.mark.parametrize("text", ["a\\u0000b", "a\\ud800b", "\\udfff"])
def test_nor_is_one_in_a_body(client: TestClient, headers: dict[str, str], text: str) -> None:
    sent = {
        "/v1/api-keys": ['{"name": "%s", "scopes": ["ops"]}', '{"name": "x", "scopes": ["ops"], "%s": 1}'],
        "/v1/capture-sessions": [
            '{"subject_id": "%s", "consent_id": "c"}',
            '{"subject_id": "s", "consent_id": "%s"}',
            '{"subject_id": "s", "consent_id": "c", "return_url": "%s"}',
        ],
        "/v1/kiosk-sessions": ['{"subject_id": "%s"}'],
        "/v1/webhooks": ['{"url": "https://%s/", "events": ["batch.ended"]}'],
        "/v1/batches": ['{"target": {"model": "%s"}}', '{"selection": {"subjects": ["%s"]}, "target": {}}'],
        "/v1/edge-reports": ['{"reports": [{"kiosk_id": "%s"}]}'],
        "/v1/audit-checks": ['{"since": "%s"}'],
        "/v1/template-exports": ['{"recipient": "%s"}', '{"recipient": "x", "after": "%s"}'],
    }
    for path, bodies in sent.items():
        for body in bodies:
            content = (body % text).encode()
            assert json.loads(content)
            answer = client.post(
                path, content=content, headers=headers | {"Content-Type": "application/json"}
            )
            assert answer.status_code in (201, 400, 403, 409, 422), (path, body, answer.text)


def test_nor_is_one_at_the_door_of_the_console(client: TestClient) -> None:
    answer = client.post("/console/sign-in", data={"api_key": "recon_\x00_\x00", "next": "/console/\x00"})
    assert answer.status_code == 401
