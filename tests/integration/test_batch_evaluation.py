"""A batch is judged by what recent verifications saw and by the people of an evaluation set, over HTTP."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from typer.testing import CliRunner

from recon_service.cli.main import build_app
from recon_service.storage.evaluation_tables import evaluation_observations
from recon_service.storage.probe_tables import recent_probes
from tests.integration.captures import INTRINSICS, depth_of, png16, verify
from tests.integration.running import Server, enroll, portrait_jpeg
from tests.integration.test_batches import LIMIT_S, wait


def evaluated(client: httpx.Client, address: str) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        (found,) = client.get(f"{address}/evaluations").raise_for_status().json()["evaluations"]
        if found["state"] != "pending":
            return dict(found)
        time.sleep(0.2)
    raise AssertionError(f"the evaluation did not end: {found}")


def recon(client: httpx.Client, *arguments: str) -> tuple[int, str]:
    """A command against the service: exit code, standard output."""
    key = client.headers["Authorization"].removeprefix("Bearer ")
    environment = {"RECON_URL": str(client.base_url), "RECON_API_KEY": key, "COLUMNS": "200"}
    result = CliRunner().invoke(build_app(arguments), list(arguments), env=environment)
    return result.exit_code, result.stdout


def record(folder: Path, name: str, picture: bytes, *depth: bytes) -> None:
    """One person of an evaluation set, as docs/evaluation.md has it."""
    (folder / name / "enroll").mkdir(parents=True)
    (folder / name / "enroll" / "front_01.jpg").write_bytes(picture)
    for number, frame in enumerate(depth, start=1):
        visit = folder / name / "probe" / f"visit{number}"
        visit.mkdir(parents=True)
        (visit / "intrinsics.json").write_text(INTRINSICS)
        (visit / "01_depth.png").write_bytes(frame)


def test_a_batch_is_compared_on_recent_verifications_and_evaluated(tmp_path: Path) -> None:
    people = tmp_path / "people"
    people.mkdir()
    (people / "dataset.toml").write_text('name = "two"\nsensor = "generic"\n')
    settings = {
        "RECON_EVALUATION_PEOPLE": "0",
        "RECON_EVALUATION_SET": str(people),
        "RECON_BATCH_NICENESS": "0",
        "RECON_ENROLLMENT_NICENESS": "0",
        "RECON_LOCKOUT_SUBJECT_FAILURES": "0",
        "RECON_RECENT_REFUSALS": "true",
    }
    server = Server(tmp_path / "state", settings).start()
    faces = {"ada": portrait_jpeg("astronaut"), "bea": portrait_jpeg("hopper")}
    kept = {"ada": {"keep_probes": "true"}, "bea": {}}

    def probes() -> list[tuple[str, bytes]]:
        with server.database() as db:
            query = sa.select(recent_probes.c.subject_id, recent_probes.c.sealed)
            return [tuple(row) for row in db.execute(query)]

    try:
        with server.client() as client:
            for name, picture in faces.items():
                fields = {"keep_evidence": "true", **kept[name]}
                assert enroll(client, name, picture, **fields)["state"] == "succeeded"
            heads = {name: [png16(depth_of(client, name, yaw=y)) for y in (0.0, 5.0)] for name in faces}
            own = verify(client, "ada", heads["ada"][0]).raise_for_status().json()
            for name, shown in (("bea", "bea"), ("ada", "ada"), ("ada", "ada"), ("ada", "bea")):
                answer = verify(client, name, heads[shown][1]).raise_for_status().json()
            assert answer["decision"] != "MATCH"
            rows = probes()
            assert [name for name, _ in rows] == ["ada"] * 3  # by consent, and the newest alone
            assert b"generic" not in rows[0][1]
            assert json.dumps(own["score"]).encode() not in rows[0][1]

            body = {"selection": {"all": True}, "target": {"materials": ["evidence"]}}
            address = client.post("/v1/batches", json=body).headers["location"]
            batch = address.rpartition("/")[2]
            wait(client, address, "ready")
            compared = client.get(f"{address}/comparison").raise_for_status().json()
            found = compared["probes"]
            assert (found["subjects"], found["scores"]["count"], found["policy"]) == (1, 3, "pilot-1")
            assert sum(found["told"].values()) == 3
            assert found["told"][answer["decision"]] >= 1
            assert found["changed"] == sum(one["count"] for one in found["turned"])
            # The same pictures, the same models.
            assert abs(found["scores"]["former"] - found["scores"]["candidate"]) < 1.0
            assert compared["evaluations"] == []

            code, out = recon(client, "batch", "compare", batch, "--outliers", "1", "--faces", str(tmp_path))
            assert code == 0, out
            assert "3 decisions" in out
            (picture,), (mesh,) = tmp_path.glob("*-candidate.png"), tmp_path.glob("*-former.glb")
            assert picture.read_bytes().startswith(b"\x89PNG")
            assert mesh.read_bytes().startswith(b"glTF")

            # Somebody has recorded people meanwhile.
            for name, picture in faces.items():
                record(people, name, picture, *heads[name])
            answer = client.post(f"{address}:evaluate")
            assert answer.status_code == 202
            assert answer.json()["evaluations"][0]["evaluation_set"] == "real"
            found = evaluated(client, address)
            assert (found["state"], found["done"], found["total"]) == ("done", 4, 4), found
            outcome = found["outcome"]
            assert (outcome["dataset"], outcome["people"], outcome["row"]) == ("two", 2, "image1-depth1")
            assert (outcome["genuine"], outcome["impostor"], outcome["same"]) == (4, 4, False)
            assert outcome["candidate"]["way"]["material"] == "evidence"
            assert outcome["candidate"]["way"]["parent"] == outcome["former"]["way"]
            assert "impostor comparisons" in outcome["former"]["fnmr_at_fmr"]["refused"]
            assert {one["rate"] for one in outcome["differences"]} == {"eer", "fnmr", "fmr", "cllr"}
            compared = client.get(f"{address}/comparison").raise_for_status().json()
            assert compared["evaluations"] == [found]

            code, out = recon(client, "batch", "compare", batch, "--evaluate")
            assert code == 0, out
            assert "on 2 real people (two, image1-depth1)" in out

            # Whoever asks again only compares: nobody is looked at a second time.
            def observations() -> list[Any]:
                with server.database() as db:
                    return list(db.execute(sa.select(evaluation_observations.c.made_at)).all())

            before = observations()
            client.post(f"{address}:evaluate?again=true").raise_for_status()
            assert evaluated(client, address)["outcome"] == outcome
            assert observations() == before
            assert len(before) == 4

            # Consent that is taken back destroys what was kept.
            renewed = client.put(
                "/v1/subjects/ada/consent", json={"consent_id": "consent-2", "keep_probes": False}
            )
            assert renewed.raise_for_status().json()["keep_probes"] is False
            assert probes() == []
            verify(client, "ada", heads["ada"][0]).raise_for_status()
            assert probes() == []
    finally:
        server.stop()
