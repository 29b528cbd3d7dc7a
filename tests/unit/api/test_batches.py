"""Batches and models over HTTP: bodies, refusals, and the way from a dry run to a rollback."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import Scope
from recon_service.application.records.models import WorkerReport
from recon_service.application.reenrolling.models import report_worker
from tests.unit.api.conftest import authorization
from tests.unit.application.batches_support import MODELS, add_subjects, work


def test_the_life_of_a_batch(fresh_service: Service) -> None:
    stores = fresh_service.stores
    add_subjects(stores, ["ada", "bea", "cay"])
    ops = authorization(stores, Scope.OPS)
    with TestClient(create_app(fresh_service), headers=ops) as client:
        wanted = {
            "selection": {"model": "model-1"},
            "target": {"model": "model-2", "materials": ["posterior"]},
        }
        looked = client.post("/v1/batches", json={**wanted, "dry_run": True})
        assert (looked.status_code, looked.json()["preview"]["selected"]) == (200, 3)
        assert looked.json()["batch"] is None
        assert client.get("/v1/batches").json() == {"batches": []}

        answer = client.post("/v1/batches", json=wanted)
        assert answer.status_code == 202
        address = answer.headers["location"]
        assert answer.json()["batch"]["blocked"], "no worker has reported"
        report_worker(WorkerReport("w", "batches", utc_now(), MODELS), on=stores)
        assert not client.get(address).json()["blocked"]
        work(stores)
        found = client.get(address).json()
        assert (found["state"], found["items"]["succeeded"], found["expected"]) == ("ready", 3, 3)

        page = client.get(f"{address}/items", params={"state": "succeeded", "limit": 2}).json()
        rest = client.get(page["next"]).json()
        assert [i["subject_id"] for i in page["items"] + rest["items"]] == ["ada", "bea", "cay"]
        assert rest["next"] is None

        assert client.post(f"{address}:pause").status_code == 409
        assert client.post(f"{address}:activate").json()["state"] == "activating"
        work(stores)
        assert client.get(address).json()["standings"]["activated"] == 3
        assert client.post(f"{address}:rollback").json()["state"] == "rolling-back"
        work(stores)
        assert client.get(address).json()["standings"]["rolled-back"] == 3
        assert client.post(f"{address}:retry-failed").json()["items"] == 0
        assert [b["batch_id"] for b in client.get("/v1/batches").json()["batches"]] == [found["batch_id"]]

        models = client.get("/v1/models").json()
        assert models["workers"][0]["ready"]
        assert models["in_force"][0]["model"] == "model-2"
        assert {(m["model"], m["state"], m["templates"]) for m in models["templates"]} == {
            ("model-1", "active", 3),
            ("model-2", "retired", 3),
        }
        with stores.database.snapshot() as tx:
            actions = [e.action for e in tx.audit.entries()]
        assert {"batch.submitted", "batch.activated", "batch.rolled-back", "batch.retried"} <= set(actions)


@pytest.mark.parametrize(
    "wrong",
    [
        {"selection": {}},
        {"selection": {"all": True, "model": "x"}},
        {"selection": {"all": True}, "target": {"backend": "of-nobody"}},
        {"selection": {"all": True}, "target": {"materials": []}},
        {"selection": {"all": True}, "priority": 10},
        {"selection": {"all": True}, "unknown": 1},
        {"selection": {"subjects": ["not an id"]}},
        {"selection": {"model": "that nobody used"}},
    ],
)
def test_what_cannot_be_is_refused_with_a_next_step(client: TestClient, service: Service, wrong: Any) -> None:
    answer = client.post("/v1/batches", json=wrong, headers=authorization(service.stores, Scope.OPS))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["next_step"]


def test_there_is_no_such_batch(client: TestClient, service: Service) -> None:
    headers = authorization(service.stores, Scope.OPS)
    for path in ("", "/items"):
        assert client.get(f"/v1/batches/batch_none{path}", headers=headers).status_code == 404
    for change in ("pause", "resume", "cancel", "activate", "rollback", "retry-failed"):
        assert client.post(f"/v1/batches/batch_none:{change}", headers=headers).status_code == 404
