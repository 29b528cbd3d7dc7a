"""A repeated request is told the same, to the byte, for a day."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import httpx
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import Scope
from recon_service.application.templates.subjects import delete_subject
from tests.unit.api.conftest import authorization
from tests.unit.application.stores import ScriptedCompute


class App:
    """A mobile app that repeats itself, and a clock."""

    def __init__(self, service: Service) -> None:
        self.moment = utc_now()
        stores = dataclasses.replace(service.stores, clock=lambda: self.moment)
        self.service = dataclasses.replace(service, stores=stores)
        self.client = TestClient(create_app(self.service), raise_server_exceptions=False)
        self.key = authorization(stores, Scope.ENROLL)

    def ask(self, content: bytes = b"selfie", subject: str = "ada", key: str = "k-1") -> httpx.Response:
        return self.client.post(
            f"/v1/subjects/{subject}/enrollments",
            headers=self.key | {"Idempotency-Key": key},
            data={"consent_id": "c"},
            files=[("selfies", ("s", content))],
        )


def test_a_repeated_request_is_told_the_same_whatever_became_of_it(fresh_service: Service) -> None:
    app = App(fresh_service)
    first = app.ask()
    assert (first.status_code, first.json()["state"]) == (202, "queued")
    operation = first.json()["operation_id"]
    service = app.service
    run_enrollment(
        operation, on=service.stores, compute=ScriptedCompute(), queue=service.queue, policy=JobPolicy()
    )
    app.moment += timedelta(hours=23)
    again = app.ask()
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    for name in ("location", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert app.client.get(again.headers["location"], headers=app.key).json()["state"] == "succeeded"

    other = app.ask(b"another selfie")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    with service.stores.database.transaction() as tx:
        tx.idempotency.reserve(
            api_key_id=app.key["Authorization"].split("_")[1],
            key="k-2",
            digest="d",
            subject_id="ada",
            now=app.moment,
        )
    assert app.ask(key="k-2").status_code == 422, "other content comes before still under way"

    app.moment += timedelta(hours=2)
    anew = app.ask()
    assert anew.json()["operation_id"] != operation, "after a day the key is free"


def test_what_was_told_is_encrypted_and_goes_with_the_subject(fresh_service: Service) -> None:
    app = App(fresh_service)
    first = app.ask(subject="pseudonym-of-somebody")
    with app.service.stores.database.transaction() as tx:
        rows = tx._connection.exec_driver_sql("SELECT answer FROM idempotency_records").all()  # type: ignore[attr-defined]
    (answer,) = (bytes(row[0]) for row in rows)
    assert b"pseudonym" not in answer
    assert first.json()["operation_id"].encode() not in answer
    delete_subject("pseudonym-of-somebody", on=app.service.stores)
    again = app.ask(subject="pseudonym-of-somebody")
    assert "idempotent-replayed" not in again.headers
    assert again.json()["operation_id"] != first.json()["operation_id"]
