"""What is kept, and that nothing of it can be altered or swapped unnoticed."""

from __future__ import annotations

from typing import Any

import httpx
import sqlalchemy as sa

from tests.integration.running import Server, enroll, eventually, portrait_jpeg


def test_selfies_go_when_the_enrollment_ends_unless_consent_keeps_them(
    server: Server, client: httpx.Client
) -> None:
    def objects(operation: dict[str, Any]) -> list[str]:
        return list(server.objects().list_keys(f"selfies/{operation['operation_id']}/"))

    gone = enroll(client, "keeps", portrait_jpeg("astronaut"))
    assert eventually(lambda: objects(gone) == [])
    pictures = (portrait_jpeg("astronaut"), portrait_jpeg("grace_hopper"))
    (kept,) = objects(enroll(client, "keeps", *pictures, keep_selfies="true"))
    assert b"JFIF" not in server.objects().get(kept)


def test_altered_and_swapped_templates_are_noticed_and_nothing_leaks(
    server: Server, client: httpx.Client
) -> None:
    ids = {s: enroll(client, s, portrait_jpeg("astronaut"))["template_id"] for s in ("eve", "mallory")}
    path = f"/v1/subjects/eve/templates/{ids['eve']}/mesh.glb"
    assert client.get(path).status_code == 200
    with server.database() as db:
        found = db.execute(sa.text("SELECT template_id, sealed FROM templates")).all()
    by_id = {row.template_id: bytes(row.sealed) for row in found}
    sealed = {subject: by_id[template] for subject, template in ids.items()}

    def replace_by(content: bytes) -> None:
        change = sa.text("UPDATE templates SET sealed = :c WHERE template_id = :t")
        with server.database() as db:
            db.execute(change, {"c": content, "t": ids["eve"]})

    flipped = sealed["eve"][:100] + bytes([sealed["eve"][100] ^ 1]) + sealed["eve"][101:]
    for content in (flipped, sealed["mallory"], b"", sealed["eve"][:20]):
        replace_by(content)
        answer = client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (500, "/problems/storage-fault")
        assert "eve" not in answer.text
    replace_by(sealed["eve"])
    assert client.get(path).status_code == 200
    # A template under another subject's name does not open either: the ids of the row are authenticated.
    assert client.get(f"/v1/subjects/mallory/templates/{ids['eve']}/mesh.glb").status_code == 404
