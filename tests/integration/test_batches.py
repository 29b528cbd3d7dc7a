"""A batch in real processes, from kept selfies and from kept evidence, with every step that an operator
takes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

from tests.integration.captures import depth_of, png16, verify
from tests.integration.running import Server, enroll, portrait_jpeg
from tests.stacks import Stack

LIMIT_S = 120.0


def wait(client: httpx.Client, address: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.get(address).raise_for_status().json()
        if found["state"] == state:
            return found
        time.sleep(0.1)
    raise AssertionError(f"the batch did not become {state}: {found}")


def active(client: httpx.Client, subject: str) -> dict[str, Any]:
    templates = client.get(f"/v1/subjects/{subject}/templates").json()["templates"]
    (found,) = [one for one in templates if one["state"] == "active"]
    return dict(found)


def test_templates_are_derived_anew_judged_activated_and_rolled_back(tmp_path: Path, stack: Stack) -> None:
    settings = {
        **stack.environment(),
        "RECON_BATCH_NICENESS": "0",
        "RECON_ENROLLMENT_NICENESS": "0",
        "RECON_LOCKOUT_SUBJECT_FAILURES": "0",
        "RECON_KIOSK_SESSIONS": "optional",
    }
    server = Server(tmp_path / "state", settings).start()
    pictures = (portrait_jpeg("astronaut"), portrait_jpeg("astronaut", 470))
    kept = {"ada": {"keep_selfies": "true"}, "bea": {"keep_evidence": "true"}, "cay": {}}
    try:
        with server.client() as client:
            for subject, fields in kept.items():
                assert enroll(client, subject, *pictures, **fields)["state"] == "succeeded"
            before = {subject: active(client, subject)["template_id"] for subject in kept}
            visit = png16(depth_of(client, "bea", yaw=5.0))
            score = verify(client, "bea", visit).json()["score"]

            answer = client.post("/v1/batches", json={"selection": {"all": True}})
            assert answer.status_code == 202, answer.text
            preview = answer.json()["preview"]
            assert (preview["with_selfies"], preview["with_evidence"], preview["needs_new_selfie"]) == (
                1,
                1,
                1,
            )
            address = answer.headers["location"]
            found = wait(client, address, "ready")
            assert found["materials"] == {"selfies": 1, "evidence": 1}
            assert (found["items"]["succeeded"], found["items"]["needs-new-selfie"]) == (2, 1)
            assert found["reasons"] == {"nothing-kept": 1}
            assert {subject: active(client, subject)["template_id"] for subject in kept} == before

            # The same pictures, the same models: hardly anything moves.
            compared = client.get(f"{address}/comparison").raise_for_status().json()
            assert compared["sampled"] == 2
            assert compared["shift"]["largest"] < 0.1
            assert client.get(compared["outliers"][0]["links"]["candidate"]).status_code == 200

            client.post(f"{address}:activate").raise_for_status()
            wait(client, address, "active")
            assert active(client, "bea")["origin"] == "re-enrollment"
            assert active(client, "cay")["template_id"] == before["cay"]
            again = verify(client, "bea", visit).json()["score"]
            assert abs(again - score) < 1.0
            client.post(f"{address}:rollback").raise_for_status()
            wait(client, address, "rolled-back")
            assert {subject: active(client, subject)["template_id"] for subject in kept} == before
            assert verify(client, "bea", visit).json()["score"] == score
    finally:
        server.stop()
