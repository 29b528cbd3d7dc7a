"""Consents over HTTP: told with the enrollment, looked at, renewed, listed before they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi.testclient import TestClient

from recon_service.api.service import Service
from recon_service.application.records.access import Scope
from tests.unit.api.conftest import authorization

END = datetime(2999, 1, 1, tzinfo=UTC)


def enroll(client: TestClient, key: dict[str, str], subject: str, until: str | None) -> tuple[int, str]:
    fields = {"consent_id": "c-1"} | ({"consent_expires_at": until} if until else {})
    answer = client.post(
        f"/v1/subjects/{subject}/enrollments", headers=key, data=fields, files=[("selfies", ("s", b"x"))]
    )
    return answer.status_code, answer.json().get("detail", "")


def test_a_consent_is_told_looked_at_renewed_and_listed(client: TestClient, service: Service) -> None:
    app, ops = authorization(service.stores, Scope.ENROLL), authorization(service.stores, Scope.OPS)
    soon = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    assert enroll(client, app, "consent-a", soon)[0] == 202
    assert enroll(client, app, "consent-b", "2999-01-01T00:00:00Z")[0] == 202
    assert enroll(client, app, "consent-c", None)[0] == 202

    ends = {s: client.get(f"/v1/subjects/consent-{s}/consent", headers=app).json()["ends_at"] for s in "abc"}
    assert ends["c"] is None
    assert datetime.fromisoformat(ends["a"]) == datetime.fromisoformat(soon)
    assert datetime.fromisoformat(ends["b"]) == END

    def listed(days: float) -> set[str]:
        body = client.get(f"/v1/consents?within_days={days}&limit=1000", headers=ops).json()
        assert body["next"] is None
        return {c["subject_id"] for c in body["consents"]}

    assert "consent-a" in listed(4) - listed(2)
    assert not {"consent-b", "consent-c"} & listed(400)
    page = client.get("/v1/consents?limit=1", headers=ops).json()
    assert page["next"] == page["consents"][0]["subject_id"]

    path = "/v1/subjects/consent-a/consent"
    renewed = client.put(path, headers=app, json={"consent_id": "c-2", "expires_at": "2999-01-01T00:00:00Z"})
    assert renewed.status_code == 200
    assert client.get(path, headers=ops).json() == renewed.json()
    assert "consent-a" not in listed(4)


def test_ends_that_cannot_be_are_refused(client: TestClient, service: Service) -> None:
    app = authorization(service.stores, Scope.ENROLL)
    assert enroll(client, app, "consent-d", "2020-01-01T00:00:00Z") == (422, "the consent has ended already")
    for text in ("2999-01-01", "2999-01-01T00:00:00", "tomorrow", "", "9" * 500):
        assert enroll(client, app, "consent-d", text or " ")[0] == 422
    path = "/v1/subjects/consent-d/consent"
    assert client.get(path, headers=app).status_code == 404
    for body in ({}, {"consent_id": "c", "expires_at": "2020-01-01T00:00:00Z"}, {"consent_id": "a b"}):
        assert client.put(path, headers=app, json=body).status_code == 422
    assert client.put(path, headers=app, json={"consent_id": "c"}).status_code == 404
