"""The service over HTTP, as a process of its own: what the three users do, with the real pipeline."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import sqlite3
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import sqlalchemy as sa
from PIL import Image as PillowImage

from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.simulation import KIOSK_CAMERA, Ideal, simulate_capture
from recon_service.storage.tables import metadata
from tests.integration.running import Server, enroll, eventually, portrait_jpeg, selfies, wait_for_end

INTRINSICS = json.dumps(
    {**{n: getattr(KIOSK_CAMERA, n) for n in ("width", "height", "fx", "fy", "cx", "cy")}}
)


def png16(depth: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    PillowImage.fromarray(np.round(depth).astype(np.uint16)).save(file, "PNG")
    return file.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def glb_vertices(content: bytes) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Positions in millimetres and triangles of the only mesh in a binary glTF file."""
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    json_length = struct.unpack_from("<I", content, 12)[0]
    document = json.loads(content[20 : 20 + json_length])
    binary = content[20 + json_length + 8 :]
    primitive = document["meshes"][0]["primitives"][0]

    def read(number: int, width: int) -> np.ndarray[Any, Any]:
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        dtype = {5126: "<f4", 5125: "<u4", 5123: "<u2"}[accessor["componentType"]]
        return np.frombuffer(binary, dtype, accessor["count"] * width, start).reshape(-1, width)

    corners = read(primitive["indices"], 1).reshape(-1, 3).astype(np.int64)
    return 1000.0 * read(primitive["attributes"]["POSITION"], 3).astype(np.float64), corners


def depth_of(client: httpx.Client, subject: str, *, yaw: float = 0.0) -> np.ndarray[Any, Any]:
    """What a perfect depth camera sees of the head that the service made of a subject, (H, W) mm."""
    (template, *_) = client.get(f"/v1/subjects/{subject}/templates").json()["templates"]
    mesh = Mesh(*glb_vertices(client.get(template["links"]["mesh"]).content))
    pose = HeadPose.from_angles(yaw=yaw, pitch=0.0, roll=0.0, translation=np.array([0.0, 0.0, 600.0]))
    return np.asarray(simulate_capture(mesh, KIOSK_CAMERA, pose, Ideal(), np.random.default_rng(7)).depth)


def verify(
    client: httpx.Client, subject: str, *depth: bytes, intrinsics: str = INTRINSICS, **files: bytes
) -> httpx.Response:
    parts = [("depth", d) for d in depth] + list(files.items())
    return client.post(f"/v1/subjects/{subject}/verifications", files=parts, data={"intrinsics": intrinsics})


# ---- enroll --------------------------------------------------------------------------------


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
    before = stored_rows(server)
    contents = (portrait_jpeg("astronaut"), b"nothing")
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


def dump(server: Server) -> list[str]:
    """Every row of every table as text."""
    with server.database() as db:
        return [
            repr(tuple(row)) for table in metadata.tables.values() for row in db.execute(sa.select(table))
        ]


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


# ---- verify --------------------------------------------------------------------------------


def test_the_head_made_of_a_subject_scores_higher_as_itself_than_as_another(client: httpx.Client) -> None:
    """Frames, units and scale of the whole path: the mesh goes out, a perfect depth camera sees it, and the
    depth comes back. It says nothing about people.
    """
    for subject in ("astronaut", "grace_hopper"):
        enroll(client, f"v-{subject}", portrait_jpeg(subject))
    probe = {s: png16(depth_of(client, f"v-{s}", yaw=10.0)) for s in ("astronaut", "grace_hopper")}
    score = {}
    for reference in probe:
        for seen in probe:
            answer = verify(client, f"v-{reference}", probe[seen]).json()
            assert answer["score"] is not None, answer
            score[reference, seen] = answer["score"]
    for subject, other in (("astronaut", "grace_hopper"), ("grace_hopper", "astronaut")):
        assert score[subject, subject] > score[subject, other]
        assert score[subject, subject] > 0


def test_png_and_npy_and_meters_are_the_same_capture(client: httpx.Client) -> None:
    enroll(client, "formats", portrait_jpeg("astronaut"))
    depth = np.round(depth_of(client, "formats"))
    in_meters = json.dumps({**json.loads(INTRINSICS), "millimetres_per_unit": 1000.0})
    answers = [
        verify(client, "formats", png16(depth)).json(),
        verify(client, "formats", npy(depth.astype(np.uint16))).json(),
        verify(client, "formats", npy(np.asfortranarray(depth.astype(">f4")))).json(),
        verify(
            client, "formats", npy(np.where(depth > 0, depth / 1000, np.nan)), intrinsics=in_meters
        ).json(),
    ]
    assert len({round(a["score"], 3) for a in answers}) == 1
    assert {a["decision"] for a in answers} == {answers[0]["decision"]}
    assert set(answers[0]["milliseconds"]) >= {"decode", "fit_and_compare", "total"}


def test_a_visit_ends_as_soon_as_it_is_clear(client: httpx.Client) -> None:
    enroll(client, "streamed", portrait_jpeg("grace_hopper"))
    frames = [png16(depth_of(client, "streamed", yaw=yaw)) for yaw in (0.0, 5.0, -5.0, 10.0)]
    answer = verify(client, "streamed", *frames).json()
    assert 2 <= answer["frames_used"] <= len(frames)
    if answer["frames_used"] < len(frames):
        short = verify(client, "streamed", *frames[: answer["frames_used"]]).json()
        assert (short["decision"], short["score"]) == (answer["decision"], answer["score"])
        assert answer["decision"] in ("MATCH", "NO_MATCH")


def test_a_visit_without_a_face_is_inconclusive(client: httpx.Client) -> None:
    enroll(client, "noface", portrait_jpeg("astronaut"))
    answer = verify(client, "noface", png16(np.zeros((480, 640))))
    assert answer.status_code == 200
    assert (answer.json()["decision"], answer.json()["score"]) == ("INCONCLUSIVE", None)
    assert answer.json()["reasons"][0]["hint"]


def test_verifying_somebody_unknown_or_without_template_is_not_found(client: httpx.Client) -> None:
    assert verify(client, "unknown", png16(np.zeros((480, 640)))).status_code == 404


class Bomb:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_depth_files_that_are_none_are_refused_and_never_unpickled(
    client: httpx.Client, tmp_path: Path
) -> None:
    enroll(client, "hostile", portrait_jpeg("astronaut"))
    trap = tmp_path / "trap"
    pickled = npy(np.array([[Bomb(trap)]], dtype=object))
    huge = png16(np.zeros((2, 2)))[:16] + struct.pack(">II", 60_000, 60_000) + png16(np.zeros((2, 2)))[24:]
    eight_bit = io.BytesIO()
    PillowImage.new("L", (640, 480)).save(eight_bit, "PNG")
    good = png16(np.zeros((480, 640)))
    cases = [
        pickled,
        huge,
        eight_bit.getvalue(),
        good[: len(good) // 2],
        b"",
        b"depth",
        npy(np.zeros((480, 640, 3), np.uint16)),
        npy(np.zeros(5, np.float32)),
        npy(np.zeros((480, 640), np.complex64)),
        npy(np.zeros((480, 640), np.float32))[:-1],
        npy(np.zeros((10, 10), np.uint16)),  # not the size of the intrinsics
        npy(np.full((480, 640), -1.0)),
        npy(np.full((480, 640), 1e9)),
    ]
    for content in cases:
        answer = verify(client, "hostile", content)
        assert answer.status_code == 422, (content[:20], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert not trap.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"fx": 0},
        {"fx": "nan"},
        {"fy": -600},
        {"cx": 1e9},
        {"width": 0},
        {"width": None},
        {"distortion": [99]},
        {"distortion": [0] * 6},
        {"millimetres_per_unit": 0},
        {"camera": "../../etc"},
        {"surprise": 1},
    ],
)
def test_absurd_intrinsics_are_refused(client: httpx.Client, change: dict[str, Any]) -> None:
    answer = verify(
        client,
        "whoever",
        png16(np.zeros((4, 4))),
        intrinsics=json.dumps({**json.loads(INTRINSICS), **change}),
    )
    # Nobody is enrolled under this name: a scale that only the frame can judge comes after that.
    assert answer.status_code in (422, 404) if "millimetres_per_unit" in change else answer.status_code == 422


def test_pictures_must_come_one_per_depth_map(client: httpx.Client) -> None:
    zero = png16(np.zeros((480, 640)))
    answer = verify(client, "whoever", zero, zero, image=portrait_jpeg("astronaut"))
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-value")


def test_a_killed_compute_process_is_replaced_and_nobody_notices(
    server: Server, client: httpx.Client
) -> None:
    enroll(client, "killed", portrait_jpeg("astronaut"))
    probe = png16(depth_of(client, "killed"))
    expected = verify(client, "killed", probe).json()["score"]
    assert server.process is not None
    for _ in range(2):
        for child in psutil.Process(server.process.pid).children():
            os.kill(child.pid, signal.SIGKILL)
        answer = verify(client, "killed", probe)
        assert answer.status_code == 200, answer.text
        assert answer.json()["score"] == expected
    assert enroll(client, "killed", portrait_jpeg("astronaut"))["state"] == "succeeded"


def test_a_compute_process_killed_in_the_middle_of_a_request(server: Server, client: httpx.Client) -> None:
    assert server.process is not None
    stop = threading.Event()

    def kill_now_and_then() -> None:
        while not stop.is_set():
            time.sleep(0.4)
            for child in psutil.Process(server.process.pid).children()[:1]:
                os.kill(child.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        codes = {
            client.post("/v1/quality-checks", files=selfies(*[portrait_jpeg("grace_hopper")] * 5)).status_code
            for _ in range(8)
        }
    finally:
        stop.set()
        killer.join()
    assert codes <= {200, 500}
    assert client.post("/v1/quality-checks", files=selfies(portrait_jpeg("grace_hopper"))).status_code == 200


# ---- delete --------------------------------------------------------------------------------


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


# ---- what is kept --------------------------------------------------------------------------------


def test_selfies_go_when_the_enrollment_ends_unless_consent_keeps_them(
    server: Server, client: httpx.Client
) -> None:
    def objects(operation: dict[str, Any]) -> list[str]:
        return list(server.objects().list_keys(f"selfies/{operation['operation_id']}/"))

    gone = enroll(client, "keeps", portrait_jpeg("astronaut"))
    assert eventually(lambda: objects(gone) == [])
    pictures = (portrait_jpeg("astronaut"), portrait_jpeg("grace_hopper"))
    kept = objects(enroll(client, "keeps", *pictures, keep_selfies="true"))
    assert len(kept) == 2
    assert b"JFIF" not in server.objects().get(kept[0])


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


# ---- operating it --------------------------------------------------------------------------------


def test_every_part_reports_ready(server: Server, client: httpx.Client) -> None:
    assert client.get("/livez").json()["status"] == "alive"
    parts = ["database", "objects", "compute", *([] if server.crew else ["worker"])]
    assert client.get("/readyz").json() == {"status": "ready", "parts": dict.fromkeys(parts, "ok")}


def test_a_stop_ends_cleanly_and_a_start_takes_up_what_was_open(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    with server.client() as client:
        locations = [
            client.post(
                f"/v1/subjects/s{n}/enrollments",
                files=selfies(portrait_jpeg("astronaut")),
                data={"consent_id": "c"},
            ).headers["location"]
            for n in range(12)
        ]
    assert server.stop() == 0
    leftovers = [
        p
        for p in psutil.process_iter(["cmdline"])
        if "worker.child" in (p.info["cmdline"] or []) and p.ppid() == 1
    ]
    server.start()
    try:
        with server.client() as client:
            assert {wait_for_end(client, location)["state"] for location in locations} == {"succeeded"}
    finally:
        server.stop()
    assert not leftovers


def test_a_second_service_on_the_same_state_is_refused(server: Server) -> None:
    if server.crew:
        return  # in production there may be any number of them
    second = server.command("serve", "--port", "0")
    assert second.returncode != 0
    assert "another service runs" in second.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_beyond_loopback_it_refuses_to_start_without_real_keys(tmp_path: Path, host: str) -> None:
    server = Server(tmp_path / "state")
    refused = server.command("serve", "--host", host, "--port", "0")
    assert refused.returncode != 0
    assert "insecure-configuration" in refused.stderr
    assert "openssl rand" in refused.stderr
    server.settings["RECON_MASTER_KEY"] = "n0sTUbBtuHWvjvTRuXXyhxGXIuVfDIM1F29IVcSR3bc="
    refused = server.command("serve", "--host", host, "--port", "0")
    assert refused.returncode != 0
    assert "recon keys create" in refused.stderr


def test_beyond_loopback_with_real_keys_it_starts_and_the_development_key_opens_nothing(
    tmp_path: Path,
) -> None:
    server = Server(
        tmp_path / "state", settings={"RECON_MASTER_KEY": "n0sTUbBtuHWvjvTRuXXyhxGXIuVfDIM1F29IVcSR3bc="}
    )
    server.start(ready=False).stop()
    token = server.command("keys", "create", "app", "--scope", "ops").stdout.strip()
    server.settings["RECON_HOST"] = "0.0.0.0"
    server.start(ready=False)
    try:
        with server.client() as development, server.client(token) as real:
            assert development.get("/v1/subjects/x/templates").status_code == 401
            assert real.get("/v1/subjects/x/templates").status_code == 404
    finally:
        server.stop()


def test_another_master_key_opens_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    with server.client() as client:
        enroll(client, "x", portrait_jpeg("astronaut"))
    server.stop()
    server.settings["RECON_MASTER_KEY"] = "n0sTUbBtuHWvjvTRuXXyhxGXIuVfDIM1F29IVcSR3bc="
    refused = server.command("serve", "--port", "0")
    assert refused.returncode != 0
    assert "storage-fault" in refused.stderr
    assert "another master key" in refused.stderr


def test_keys_are_made_listed_and_revoked(server: Server) -> None:
    token = server.command("keys", "create", "kiosk 1", "--scope", "verify").stdout.strip()
    with server.client(token) as kiosk:
        assert kiosk.get("/v1/subjects/nobody-here/templates").status_code == 403
        assert verify(kiosk, "nobody-here", png16(np.zeros((480, 640)))).status_code == 404
        listed = {k["name"]: k for k in json.loads(server.command("keys", "list", "--json").stdout)}
        assert listed["kiosk 1"]["scopes"] == ["verify"]
        assert token not in server.command("keys", "list").stdout
        assert server.command("keys", "revoke", listed["kiosk 1"]["id"]).returncode == 0
        assert verify(kiosk, "nobody-here", png16(np.zeros((480, 640)))).status_code == 401
    assert token.rsplit("_", 1)[1] not in "".join(dump(server))


def test_the_command_line_enrolls_and_verifies(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    picture, noise, depth, camera = (tmp_path / n for n in ("a.jpg", "noise.jpg", "depth.png", "camera.json"))
    picture.write_bytes(portrait_jpeg("astronaut"))
    noise.write_bytes(b"noise")
    env = {"RECON_API_KEY": server.key, "RECON_URL": server.url}
    done = server.command("enroll", "cli-subject", str(picture), str(noise), env=env)
    assert done.returncode == 0, done.stderr
    assert "enrolled" in done.stdout
    assert "a.jpg" in done.stdout
    assert server.command("enroll", "cli-subject", str(noise), env=env).returncode == 1
    as_json = server.command("enroll", "cli-subject", str(picture), "--json", env=env)
    assert json.loads(as_json.stdout)["state"] == "succeeded"

    depth.write_bytes(png16(depth_of(client, "cli-subject")))
    camera.write_text(INTRINSICS)
    options = ["--depth", str(depth), "--intrinsics", str(camera)]
    answer = server.command("verify", "cli-subject", *options, "--json", env=env)
    assert (
        answer.returncode
        == {"MATCH": 0, "NO_MATCH": 1, "INCONCLUSIVE": 4}[json.loads(answer.stdout)["decision"]]
    )
    depth.write_bytes(png16(np.zeros((480, 640))))
    assert server.command("verify", "cli-subject", *options, "--kiosk-session", env=env).returncode == 4

    assert server.command("verify", "cli-nobody", *options, env=env).returncode == 2
    assert server.command("enroll", "s", str(picture), env={**env, "RECON_API_KEY": ""}).returncode == 2
    assert server.command("enroll", "s", str(tmp_path / "missing.jpg"), env=env).returncode == 2
    assert (
        server.command("enroll", "s", str(picture), env={**env, "RECON_URL": "http://127.0.0.1:9"}).returncode
        == 3
    )


def test_nothing_biometric_and_no_secret_is_in_the_log(server: Server, client: httpx.Client) -> None:
    """Last: by now the log has seen every kind of request and fault of this file."""
    subject = "very-private-pseudonym"
    operation = enroll(client, subject, portrait_jpeg("astronaut"))
    assert verify(client, subject, png16(depth_of(client, subject))).status_code == 200
    client.get(f"/v1/subjects/{subject}/unknown?name={subject}")
    client.delete(f"/v1/subjects/{subject}")
    log = server.log.read_text()
    assert operation["operation_id"] in log
    assert "/v1/subjects/{subject_id}/enrollments" in log
    for private in (subject, "consent-1", "grace_hopper", "JFIF", "array("):
        assert private not in log, private
    picture = portrait_jpeg("astronaut")
    for place in range(700, len(picture) - 60, 2000):
        piece = picture[place : place + 24]
        for shape in (
            piece.hex(),
            repr(piece)[2:-1],
            *(base64.b64encode(piece[k:])[4:-4].decode() for k in range(3)),
        ):
            assert shape not in log, "a picture is in the log"
    for line in (json.loads(text) for text in log.splitlines() if text.startswith("{")):
        vectors = [name for name, value in line.items() if isinstance(value, list) and name != "trace"]
        assert not vectors, "landmarks or coefficients would look like this"
    secret = server.key.rsplit("_", 1)[1]
    assert log.count(secret) == 1, "only where the start showed it"
