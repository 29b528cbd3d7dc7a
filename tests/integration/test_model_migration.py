"""A service moves from the dense canonical model to the built-in one in real processes: templates are
derived under the new model while the old one serves, people are verified all the while, and what cannot be
compared is refused.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

from recon_service.assembly import MODEL_NAMES, ModelChoice
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
    return client.post("/v1/identifications", files=[("depth", visit)], data={"intrinsics": INTRINSICS})


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
            assert identified(client, visit).json()["not_comparable"] == 3
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
            searched = identified(client, visit).raise_for_status().json()
            assert (searched["searched"], searched["not_comparable"]) == (3, 1)
            client.post(f"{address}:rollback").raise_for_status()
            wait(client, address, "rolled-back")
            for subject in MOVED:
                assert "recon batch submit" in refused(verify(client, subject, visit))
            assert "recon batch submit" in refused(identified(client, visit))
            assert made(client) == {("facekit-light", "active"): 4, ("facemesh468-builtin", "retired"): 3}
    finally:
        new.stop()
