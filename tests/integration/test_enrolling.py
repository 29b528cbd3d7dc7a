"""Enrollment over HTTP: selfies in, an operation out, a template and a mesh at its end."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image as PillowImage

from recon_service.storage.tables import metadata
from tests.integration.captures import glb_vertices
from tests.integration.running import Server, enroll, portrait_jpeg, selfies, wait_for_end


def test_an_enrollment_is_acknowledged_followed_and_gives_a_template_and_a_mesh(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/subjects/ada/enrollments",
        files=selfies(portrait_jpeg("astronaut"), b"no picture at all", portrait_jpeg("astronaut", 400)),
        data={"consent_id": "consent-1"},
    )
    assert answer.status_code == 202
    assert answer.headers["location"] == answer.json()["links"]["operation"]
    operation = wait_for_end(client, answer.headers["location"])
    assert (operation["state"], operation["progress"], operation["attempts"]) == ("succeeded", 1.0, 1)
    assert [s["accepted"] for s in operation["selfies"]] == [True, False, True]
    assert operation["selfies"][1]["problem"]["code"] == "image-unknown-format"
    assert {m["name"] for m in operation["selfies"][0]["measures"]} >= {"face_size", "sharpness", "yaw"}
    (template,) = client.get("/v1/subjects/ada/templates").json()["templates"]
    assert template["template_id"] == operation["template_id"]
    mesh = client.get(operation["links"]["mesh"])
    assert mesh.headers["content-type"] == "model/gltf-binary"
    assert mesh.headers["cache-control"] == "no-store"
    vertices, triangles = glb_vertices(mesh.content)
    assert 100 < np.ptp(vertices[:, 0]) < 200, "a face is 10 to 20 cm wide"
    assert triangles.max() == len(vertices) - 1


def test_selfies_without_a_face_are_a_rejection_with_hints_and_no_fault(client: httpx.Client) -> None:
    file = io.BytesIO()
    PillowImage.new("RGB", (400, 400), (90, 120, 60)).save(file, "PNG")
    operation = enroll(client, "nobody", file.getvalue())
    assert (operation["state"], operation["template_id"], operation["problem"]) == ("rejected", None, None)
    assert operation["selfies"][0]["hints"]
    assert client.get("/v1/subjects/nobody/templates").json()["templates"] == []


def test_selfies_of_two_people_are_a_rejection_that_says_so(client: httpx.Client) -> None:
    operation = enroll(client, "two-people", portrait_jpeg("astronaut"), portrait_jpeg("grace_hopper"))
    assert (operation["state"], operation["template_id"]) == ("rejected", None)
    assert operation["problem"]["code"] == "skin-does-not-match"
    assert operation["problem"]["next_step"]


def test_a_stranger_among_three_selfies_is_named(client: httpx.Client) -> None:
    own = portrait_jpeg("astronaut"), portrait_jpeg("astronaut", 500)
    operation = enroll(client, "with-stranger", own[0], portrait_jpeg("grace_hopper"), own[1])
    assert operation["state"] == "rejected"
    assert operation["problem"]["code"] == "stranger-in-set"
    assert "Selfie 2" in operation["problem"]["next_step"]
    assert [s["accepted"] for s in operation["selfies"]] == [True, False, True]
    assert operation["selfies"][1]["problem"]["code"] == "stranger-in-set"


def test_a_stranger_among_four_selfies_is_left_out(client: httpx.Client) -> None:
    own = [portrait_jpeg("astronaut", width) for width in (512, 500, 490)]
    operation = enroll(client, "stranger-left-out", *own, portrait_jpeg("grace_hopper"))
    assert operation["state"] == "succeeded", operation["problem"]
    assert [s["accepted"] for s in operation["selfies"]] == [True, True, True, False]


def test_progress_as_server_sent_events(server: Server, client: httpx.Client) -> None:
    answer = client.post(
        "/v1/subjects/events/enrollments",
        files=selfies(*[portrait_jpeg("grace_hopper")] * 6),
        data={"consent_id": "c"},
    )
    location = answer.headers["location"]
    with client.stream("GET", location, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = [e for e in "".join(stream.iter_text()).split("\n\n") if e]
    bodies = [json.loads(e.split("data: ", 1)[1]) for e in events]
    versions = [b["version"] for b in bodies]
    assert versions == sorted(set(versions))
    assert [e.split("\n")[0] for e in events] == ["event: progress"] * (len(events) - 1) + ["event: end"]
    assert bodies[-1] == client.get(location).json()
    # A browser that lost the connection asks again with the last id it saw.
    again = client.get(location, headers={"Accept": "text/event-stream", "Last-Event-ID": str(versions[0])})
    assert again.text.startswith("event: end")
    last = client.get(location, headers={"Accept": "text/event-stream", "Last-Event-ID": str(versions[-1])})
    assert last.status_code == 204


def test_repeating_a_request_with_its_idempotency_key_changes_nothing(client: httpx.Client) -> None:
    def send(content: bytes, consent: str = "c", key: str = "key-1") -> httpx.Response:
        return client.post(
            "/v1/subjects/twice/enrollments",
            files=selfies(content),
            data={"consent_id": consent},
            headers={"Idempotency-Key": key},
        )

    first = send(portrait_jpeg("astronaut"))
    wait_for_end(client, first.headers["location"])
    again = send(portrait_jpeg("astronaut"))
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    for other in (send(portrait_jpeg("grace_hopper")), send(portrait_jpeg("astronaut"), consent="other")):
        assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len(client.get("/v1/subjects/twice/templates").json()["templates"]) == 1
    assert send(portrait_jpeg("astronaut"), key="key-2").headers["location"] != first.headers["location"]


def test_simultaneous_requests_with_one_key_make_one_enrollment(client: httpx.Client) -> None:
    def send(_: int) -> httpx.Response:
        return client.post(
            "/v1/subjects/race/enrollments",
            files=selfies(portrait_jpeg("astronaut")),
            data={"consent_id": "c"},
            headers={"Idempotency-Key": "race-1"},
        )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    accepted = {a.headers["location"] for a in answers if a.status_code == 202}
    assert len(accepted) == 1
    assert {a.json()["type"] for a in answers if a.status_code != 202} <= {"/problems/request-in-flight"}
    wait_for_end(client, accepted.pop())
    assert len(client.get("/v1/subjects/race/templates").json()["templates"]) == 1


def test_a_quality_check_says_what_the_enrollment_would_say_and_stores_nothing(
    server: Server, client: httpx.Client
) -> None:
    contents = (portrait_jpeg("astronaut"), b"nothing", portrait_jpeg("astronaut"))
    client.post(
        "/v1/quality-checks", files=selfies(*contents)
    ).raise_for_status()  # the key's requests are counted
    before = stored_rows(server)
    answer = client.post("/v1/quality-checks", files=selfies(*contents)).json()
    assert stored_rows(server) == before
    assert answer["accepted"] is True
    assert answer["selfies"] == enroll(client, "checked", *contents)["selfies"]


def stored_rows(server: Server) -> dict[str, int]:
    with server.database() as db:
        return {
            name: db.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
        }


@pytest.mark.parametrize(
    ("count", "fields", "status", "code"),
    [
        (0, {"consent_id": "c"}, 422, "invalid-value"),
        (11, {"consent_id": "c"}, 422, "invalid-value"),
        (1, {}, 422, "invalid-value"),
        (1, {"consent_id": "two words"}, 422, "invalid-value"),
        (1, {"consent_id": "c", "keep_selfies": "perhaps"}, 422, "invalid-value"),
        (1, {"consent_id": "c", "unknown": "x"}, 422, "invalid-value"),
        (50, {"consent_id": "c"}, 413, "payload-too-large"),
    ],
)
def test_malformed_enrollments_are_refused(
    client: httpx.Client, count: int, fields: dict[str, str], status: int, code: str
) -> None:
    answer = client.post(
        "/v1/subjects/refused/enrollments", files=selfies(*[b"x"] * count) or [("x", b"")], data=fields
    )
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")
    assert answer.json()["next_step"]
