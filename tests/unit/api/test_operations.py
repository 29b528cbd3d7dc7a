"""Given-up enrollments, backpressure and preconditions over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import Scope
from recon_service.application.records.operations import OperationState, Problem
from tests.unit.api.conftest import authorization


@pytest.fixture
def caller(fresh_service: Service) -> TestClient:
    return TestClient(create_app(fresh_service), headers=authorization(fresh_service.stores, *Scope))


def enroll(caller: TestClient, subject: str = "ada") -> str:
    answer = caller.post(
        f"/v1/subjects/{subject}/enrollments", files={"selfies": b"x"}, data={"consent_id": "c"}
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["operation_id"])


def give_up(service: Service, operation_id: str) -> None:
    now = utc_now()
    with service.stores.database.transaction() as tx:
        claim = tx.operations.claim(operation_id, token="t", now=now, stale_before=now)
        assert claim is not None
        problem = Problem("fit-failed", "It did not converge.")
        tx.operations.finish(claim, state=OperationState.FAILED, now=now, problem=problem, dead=True)


def test_the_dead_are_listed_and_tried_again(fresh_service: Service, caller: TestClient) -> None:
    operation_id = enroll(caller)
    assert caller.get("/v1/operations?state=dead").json() == {"operations": []}
    assert caller.post(f"/v1/operations/{operation_id}/retry").status_code == 409
    give_up(fresh_service, operation_id)
    (listed,) = caller.get("/v1/operations?state=dead").json()["operations"]
    assert (listed["operation_id"], listed["problem"]["code"]) == (operation_id, "fit-failed")
    answer = caller.post(f"/v1/operations/{operation_id}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert caller.get("/v1/operations?state=dead").json() == {"operations": []}
    assert caller.post("/v1/operations/op_nothing/retry").status_code == 404
    assert caller.get("/v1/operations").status_code == 422


def test_only_operations_staff_may_do_so(fresh_service: Service) -> None:
    app = TestClient(create_app(fresh_service), headers=authorization(fresh_service.stores, Scope.ENROLL))
    assert app.get("/v1/operations?state=dead").status_code == 403
    assert app.post("/v1/operations/op_1/retry").status_code == 403


def test_a_full_queue_is_a_503_that_says_when_to_come_back(
    fresh_service: Service, caller: TestClient
) -> None:
    operation_id = enroll(caller)
    long_ago = utc_now() - timedelta(days=1)
    with fresh_service.stores.database.transaction() as tx:
        claim = tx.operations.claim(operation_id, token="t", now=long_ago, stale_before=long_ago)
        assert claim is not None
        tx.operations.requeue(claim, now=long_ago)
    answer = caller.post("/v1/subjects/bob/enrollments", files={"selfies": b"x"}, data={"consent_id": "c"})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/queue-full")
    assert int(answer.headers["retry-after"]) == 30
    assert caller.get("/problems/queue-full").status_code == 200


def test_deletion_with_if_match(fresh_service: Service, caller: TestClient) -> None:
    enroll(caller)
    tag = caller.get("/v1/subjects/ada/templates").headers["etag"]
    stale = {"If-Match": '"0000000000000000-1"'}
    answer = caller.delete("/v1/subjects/ada", headers=stale)
    assert (answer.status_code, answer.json()["type"]) == (412, "/problems/precondition-failed")
    assert caller.delete("/v1/subjects/ada", headers={"If-Match": tag}).status_code == 200
    assert caller.get("/v1/subjects/ada/templates").status_code == 404
