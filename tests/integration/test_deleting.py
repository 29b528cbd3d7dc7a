"""Deletion over HTTP: key, rows and objects go, a receipt stays."""

from __future__ import annotations

import sqlite3
import time

import httpx
import sqlalchemy as sa

from tests.integration.captures import dump
from tests.integration.running import Server, enroll, eventually, portrait_jpeg, selfies


def test_deletion_destroys_key_rows_and_objects_and_gives_a_receipt(
    server: Server, client: httpx.Client
) -> None:
    operation = enroll(client, "gone-subject", portrait_jpeg("astronaut"), keep_selfies="true")
    key = "gone-subject-key"
    client.post(
        "/v1/subjects/gone-subject/enrollments",
        files=selfies(portrait_jpeg("astronaut")),
        data={"consent_id": "c"},
        headers={"Idempotency-Key": key},
    )
    with server.database() as db:
        ours = {"s": "gone-subject", "o": operation["operation_id"]}
        wrapped = db.scalar(sa.text("SELECT wrapped FROM subject_keys WHERE subject_id = :s"), ours)
        sealed = db.scalars(sa.text("SELECT sealed FROM templates WHERE subject_id = :s"), ours).all()
        objects = db.scalars(sa.text("SELECT object_key FROM selfies WHERE operation_id = :o"), ours).all()
    assert len(objects) == 1, "keep_selfies keeps them"
    assert set(objects) <= set(server.objects().list_keys())

    receipt = client.delete("/v1/subjects/gone-subject")
    assert receipt.status_code == 200
    assert receipt.json()["keys"] == 1
    assert receipt.json()["operations"] == 2
    assert receipt.json()["objects"] >= 1
    assert not set(objects) & set(server.objects().list_keys())
    for path in ("/v1/subjects/gone-subject/templates", f"/v1/operations/{operation['operation_id']}"):
        assert client.get(path).status_code == 404
    assert client.delete("/v1/subjects/gone-subject").status_code == 404
    left = "\n".join(dump(server))
    assert "gone-subject" not in left
    assert operation["operation_id"] not in left
    if server.crew:
        return  # PostgreSQL overwrites at the next vacuum; what it has until then lacks its key
    # Not only unlinked: overwritten in the file.
    database = server.state / "recon.sqlite3"
    with sqlite3.connect(database) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = database.read_bytes()
    for trace in (wrapped, *(s[:64] for s in sealed), b"gone-subject", operation["operation_id"].encode()):
        assert trace not in content


def test_deleting_while_enrolling_leaves_nothing(server: Server, client: httpx.Client) -> None:
    for round_number in range(6):
        subject = f"torn-{round_number}"
        location = client.post(
            f"/v1/subjects/{subject}/enrollments",
            files=selfies(*[portrait_jpeg("grace_hopper")] * 3),
            data={"consent_id": "c"},
        ).headers["location"]
        time.sleep(0.02 * round_number)
        assert client.delete(f"/v1/subjects/{subject}").status_code == 200
        assert client.get(location).status_code == 404
    assert enroll(client, "after-the-torn", portrait_jpeg("astronaut"))["state"] == "succeeded"
    assert "torn-" not in "\n".join(line for line in dump(server) if "after-the-torn" not in line)

    def only_known_objects() -> bool:
        with server.database() as db:
            known = set(db.scalars(sa.text("SELECT object_key FROM selfies")))
        return set(server.objects().list_keys("selfies/")) == known

    assert eventually(only_known_objects)
