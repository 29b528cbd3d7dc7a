"""A service moves from the dense canonical model to the built-in one in real processes: templates are
derived under the new model while the old one serves, people are verified, searched and known again at
another enrollment all the while, and what cannot be compared is refused.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from recon_service.assembly import MODEL_NAMES, ModelChoice
from recon_service.storage.engines import open_engine
from tests.integration.captures import INTRINSICS, depth_of, png16, verify
from tests.integration.running import Server, enroll, portrait_jpeg
from tests.integration.test_batches import wait

DENSE, BUILTIN = MODEL_NAMES[ModelChoice.DENSE], MODEL_NAMES[ModelChoice.BUILTIN]
MOVED = ("ada", "bea", "cay")


def made(client: httpx.Client) -> dict[tuple[str, str], int]:
    """Templates by model and state, as `GET /v1/models` counts them."""
    counts: dict[tuple[str, str], int] = {}
    for row in client.get("/v1/models").raise_for_status().json()["templates"]:
        calibration = "released-1-builtin@" if row["model"] == BUILTIN else "released-1@"
        assert row["calibration"].startswith(calibration)
        key = row["model"].removeprefix("ict-"), row["state"]
        counts[key] = counts.get(key, 0) + row["templates"]
    return counts


def in_force(client: httpx.Client, limit_s: float = 60.0) -> list[dict[str, Any]]:
    """What workers run: they say so every few seconds."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := client.get("/v1/models").raise_for_status().json()["in_force"]:
            return list(found)
        time.sleep(0.2)
    raise AssertionError("no worker said what it runs")


def verified(client: httpx.Client, subject: str, visit: bytes) -> dict[str, Any]:
    answer = verify(client, subject, visit)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def identified(client: httpx.Client, visit: bytes) -> httpx.Response:
    """Before a camera that was measured: elsewhere no score is high enough to be listed."""
    intrinsics = json.dumps({**json.loads(INTRINSICS), "camera": "simulated-structured-light"})
    return client.post("/v1/identifications", files=[("depth", visit)], data={"intrinsics": intrinsics})


def found_by_searching(client: httpx.Client, visit: bytes) -> tuple[dict[str, str], int, int]:
    """Template by candidate, how many were searched, and how many could not be compared."""
    answer = identified(client, visit).raise_for_status().json()
    found = [(one["subject_id"], one["template_id"]) for one in answer["candidates"]]
    assert len(dict(found)) == len(found), "nobody twice"
    return dict(found), answer["searched"], answer["not_comparable"]


def duplicates_of(client: httpx.Client, subject: str, picture: bytes) -> set[str]:
    """Whom an enrollment of this picture under another name looks like. The subject is deleted again."""
    enrolled = enroll(client, subject, picture)
    assert (enrolled["state"], enrolled["problem"]["code"]) == ("succeeded", "possible-duplicate")
    address = f"/v1/operations/{enrolled['operation_id']}/duplicates"
    found = client.get(address).raise_for_status().json()["duplicates"]
    client.delete(f"/v1/subjects/{subject}").raise_for_status()
    return {one["other_subject_id"] for one in found}


def active(client: httpx.Client, subject: str) -> str:
    listed = client.get(f"/v1/subjects/{subject}/templates").raise_for_status().json()["templates"]
    (one,) = [t["template_id"] for t in listed if t["state"] == "active"]
    return str(one)


def retired_long_ago(state: Path, subject: str) -> None:
    """As if what is retired of the subject had been so for years: the next sweep destroys it."""
    engine = open_engine(f"sqlite:///{state / 'recon.sqlite3'}")
    deadline = time.monotonic() + 60.0
    with engine.begin() as connection:
        old = {"subject": subject, "then": "2001-01-01 00:00:00.000000"}
        changed = "UPDATE templates SET retired_at = :then WHERE subject_id = :subject AND state = 'retired'"
        assert connection.execute(sa.text(changed), old).rowcount == 1
    there = sa.text("SELECT count(*) FROM templates WHERE subject_id = :subject AND state = 'retired'")
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if not connection.scalar(there, {"subject": subject}):
                engine.dispose()
                return
        time.sleep(0.1)
    raise AssertionError("no sweep destroyed it")


def refused(answer: httpx.Response) -> str:
    """The next step."""
    assert answer.status_code == 409, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "/problems/model-mismatch"
    return str(problem["next_step"])


def test_a_service_moves_to_another_model(tmp_path: Path, weights_mirror: Path) -> None:
    settings = {
        "RECON_MODEL": "dense",
        "RECON_APPEARANCE": "off",
        "RECON_BATCH_NICENESS": "0",
        "RECON_ENROLLMENT_NICENESS": "0",
        "RECON_LOCKOUT_SUBJECT_FAILURES": "0",
        "RECON_KIOSK_SESSIONS": "optional",
        "RECON_IDENTIFICATION": "memory",
        "RECON_DUPLICATE_CHECK": "report",
        "RECON_DUPLICATE_LLR": "0",
        "RECON_SWEEP_SECONDS": "0.5",
        "RECON_CONSENT_HOLD_MINUTES": "0",
    }
    old = Server(tmp_path / "state", settings).start()
    kept = {"ada": {"keep_selfies": "true"}, "bea": {"keep_evidence": "true"}, "cay": {}, "dan": {}}
    picture = portrait_jpeg("astronaut", 470)
    try:
        with old.client() as client:
            for subject in MOVED:
                assert enroll(client, subject, picture, **kept[subject])["state"] == "succeeded"
            visit = png16(depth_of(client, "bea", yaw=5.0))
            before = {subject: verified(client, subject, visit) for subject in MOVED}
            target = {"model": BUILTIN, "materials": ["selfies", "evidence", "posterior"]}
            answer = client.post("/v1/batches", json={"selection": {"all": True}, "target": target})
            address = answer.headers["location"]
            found = wait(client, address, "ready")
            assert found["materials"] == {"selfies": 1, "evidence": 1, "posterior": 1}
            assert made(client) == {("facekit-light", "active"): 3, ("facemesh468-builtin", "candidate"): 3}
            (runs,) = in_force(client)
            assert runs["model"] == DENSE
            assert [other["model"] for other in runs["others"]] == [BUILTIN]
            assert enroll(client, "dan", picture)["state"] == "succeeded"  # no part of the batch
            client.post(f"{address}:activate").raise_for_status()
            wait(client, address, "active")
            # In force is what this process cannot compare with; it goes on with what was in force before.
            for subject in MOVED:
                assert verified(client, subject, visit)["score"] == before[subject]["score"]
            log = client.get("/v1/audit-entries", params={"action": "verification"}).raise_for_status().text
            assert log.count("former-version") == 3
            everybody = {name: active(client, name) for name in kept}
            assert found_by_searching(client, visit) == (everybody, 4, 0)
            log = client.get("/v1/audit-entries", params={"action": "identification"}).raise_for_status().text
            assert log.count("former-version") == 1
            assert duplicates_of(client, "eve", picture) == set(kept)
            # Retention takes what one of them was compared by.
            retired_long_ago(old.state, "cay")
            assert "recon batch submit" in refused(verify(client, "cay", visit))
            left = {name: everybody[name] for name in ("ada", "bea", "dan")}
            assert found_by_searching(client, visit) == (left, 3, 1)
            assert duplicates_of(client, "eve", picture) == set(left)
    finally:
        old.stop()

    new = Server(tmp_path / "state", {**settings, "RECON_MODEL": "builtin"})
    new.key = old.key
    new.start()
    try:
        with new.client() as client:
            for subject in MOVED:
                again = verified(client, subject, visit)
                assert again["calibration"].startswith("released-1-builtin@")
                assert abs(again["score"] - before[subject]["score"]) < 2.0
            assert "recon batch submit" in refused(verify(client, "dan", visit))
            moved = {name: everybody[name] for name in MOVED}
            assert found_by_searching(client, visit) == (moved, 3, 1)
            assert duplicates_of(client, "eve", picture) == set(MOVED)
            client.delete("/v1/subjects/cay").raise_for_status()
            client.post(f"{address}:rollback").raise_for_status()
            wait(client, address, "rolled-back")
            for subject in ("ada", "bea"):
                assert "recon batch submit" in refused(verify(client, subject, visit))
            assert "recon batch submit" in refused(identified(client, visit))
            assert made(client) == {("facekit-light", "active"): 3, ("facemesh468-builtin", "retired"): 2}
    finally:
        new.stop()
