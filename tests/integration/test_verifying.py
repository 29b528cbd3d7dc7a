"""Verification over HTTP: the head made of a subject before a simulated kiosk."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image as PillowImage

from tests.integration.captures import INTRINSICS, depth_of, npy, png16, verify
from tests.integration.running import Server, enroll, portrait_jpeg, selfies


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
    assert codes <= {200, 500, 503}, "503: killed before it had begun"
    assert client.post("/v1/quality-checks", files=selfies(portrait_jpeg("grace_hopper"))).status_code == 200
