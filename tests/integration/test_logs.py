"""A whole life of the service with its log at its most talkative, and then a search of everything that API,
worker, housekeeping and compute processes wrote: for ids, pictures, depth, coefficients, scores, nonces and
secrets.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo

from recon_service.application.templates.subjects import load_template
from recon_service.bootstrap import open_stores
from recon_service.domain.kiosk_proof import capture_proof, capture_statement
from tests.integration.captures import INTRINSICS, depth_of, png16, verify
from tests.integration.running import Server, enroll, portrait_jpeg
from tests.stacks import STACKS, make_stack

SUBJECT, CONSENT = "very-private-pseudonym", "consent-of-a-person"
WORDS = "whispered-by-an-upload"


@pytest.fixture(params=STACKS)
def talkative(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with make_stack(request.param, request) as stack:
        settings = stack.environment() | {"RECON_LOG_LEVEL": "debug", "RECON_LOCKOUT_SUBJECT_FAILURES": "3"}
        server = Server(tmp_path / "state", settings).start()
        try:
            yield server
        finally:
            server.stop()


def hostile() -> list[bytes]:
    """Files whose texts a library might print."""
    picture = PillowImage.fromarray(np.random.default_rng(3).integers(0, 255, (240, 200, 3), dtype=np.uint8))
    told = PngInfo()
    told.add_text("Comment", WORDS)
    png, jpeg = io.BytesIO(), io.BytesIO()
    picture.save(png, "PNG", pnginfo=told)
    exif = PillowImage.Exif()
    exif[0x010E] = WORDS
    picture.save(jpeg, "JPEG", exif=exif, comment=WORDS.encode())
    whole = [png.getvalue(), jpeg.getvalue()]
    return [*whole, *(w[: len(w) // 2] for w in whole), WORDS.encode() * 50, b"\x93NUMPY" + WORDS.encode()]


def life(server: Server, client: httpx.Client) -> tuple[list[bytes], list[str]]:
    """What the service may go through. Bytes and words that must not be in the log."""
    picture = portrait_jpeg("astronaut")
    operation = enroll(client, SUBJECT, picture, consent_id=CONSENT)
    assert operation["state"] == "succeeded"
    depth = png16(depth_of(client, SUBJECT))
    answered = verify(client, SUBJECT, depth, image=picture)
    words = [SUBJECT, CONSENT, WORDS, operation.get("consent_id", CONSENT)]

    session = client.post("/v1/kiosk-sessions", json={"subject_id": SUBJECT}).json()
    statement = capture_statement(
        session_id=session["session_id"], subject_id=SUBJECT, depth=[depth], images=[], intrinsics=INTRINSICS
    )
    proof = capture_proof(session["nonce"], statement)
    headers = {"Kiosk-Session": session["session_id"], "Kiosk-Proof": proof}
    path = f"/v1/subjects/{SUBJECT}/verifications"
    for _ in range(2):  # the second is a replay
        client.post(path, headers=headers, files=[("depth", depth)], data={"intrinsics": INTRINSICS})
    words += [session["nonce"], proof]

    content = hostile()
    for upload in content:
        verify(client, SUBJECT, upload)
        client.post("/v1/quality-checks", files=[("selfies", upload)])
        client.post(
            f"/v1/subjects/{SUBJECT}/enrollments", files=[("selfies", upload)], data={"consent_id": CONSENT}
        )
    client.post("/v1/kiosk-sessions", json={"subject_id": WORDS * 3})
    as_json = {"Content-Type": "application/json"}
    client.post("/v1/kiosk-sessions", content=f'{{"subject_id": "{WORDS}', headers=as_json)
    client.get(f"/v1/subjects/{SUBJECT}/{WORDS}?name={WORDS}", headers={"X-Request-ID": WORDS + "/"})
    for _ in range(4):  # until it is locked out
        verify(client, SUBJECT, png16(np.full((480, 640), 900.0)))
    kill_children(server)
    client.post("/v1/quality-checks", files=[("selfies", picture)])

    opened = open_stores(server.resolved())
    template = load_template(SUBJECT, None, on=opened.stores)
    opened.close()
    words += [*numbers(template.posterior.mean), *numbers(np.asarray([answered.json().get("score") or 0.0]))]
    client.delete(f"/v1/subjects/{SUBJECT}")
    return [picture, depth, *content], words


def kill_children(server: Server) -> None:
    """The compute processes of the API: the next call meets a dead one."""
    assert server.process is not None
    for child in psutil.Process(server.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "worker.child" in child.cmdline():
                os.kill(child.pid, signal.SIGKILL)


def numbers(values: Any) -> list[str]:
    """As somebody might print them: whole, or rounded to so many digits that it is no accident."""
    chosen = [float(v) for v in np.asarray(values).ravel() if abs(v) > 1e-3]
    return [text for v in chosen for text in (repr(v), f"{v:.6f}", f"{v:.5g}") if len(text.strip("-0.")) >= 6]


def pieces(content: bytes) -> Iterator[str]:
    """Parts of an upload as text, hexadecimal and base64."""
    for place in range(64, len(content) - 64, max(64, len(content) // 200)):
        piece = content[place : place + 24]
        if len(set(piece)) < 12:
            continue  # padding says nothing
        yield piece.hex()
        yield repr(piece)[2:-1]
        for k in range(3):
            yield base64.b64encode(content[place + k : place + k + 24])[4:-4].decode()


def test_the_whole_log_names_nobody_and_shows_nothing(talkative: Server) -> None:
    with talkative.client() as client:
        uploads, words = life(talkative, client)
    time.sleep(1.0)
    log = talkative.log.read_text(errors="replace")
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    events = {line["event"] for line in lines}
    assert {"request", "computed"} <= events, "the API and its compute processes have spoken"
    assert len(lines) > 60
    problems = {line.get("problem") for line in lines}
    assert {"depth-rejected", "locked-out", "invalid-value"} <= problems
    assert {"kiosk-session-invalid", "nonce-used"} & problems

    # A time of day has so many digits that one of hundreds of numbers is in it by accident.
    said = re.sub(r"\d{2}:\d{2}:\d{2}\.\d+", "", log)
    found = sorted({word for word in words if word in said})
    assert found == []
    shown = [shape for upload in uploads for shape in pieces(upload) if shape in log]
    assert shown == [], "a part of an upload is in the log"
    for line in lines:
        for name, value in line.items():
            assert name == "trace" or not isinstance(value, (list, dict)), f"{name} of a line is a vector"
            assert name == "trace" or len(str(value)) < 200, f"{name} of a line is long"
    floats = re.findall(r"-?\d+\.\d{4,}", re.sub(r'"timestamp": "[^"]*"', "", log))
    assert not floats, "no number in the log has more digits than a time needs"
    secret = talkative.key.rsplit("_", 1)[1]
    assert log.count(secret) == 1, "only where the start showed it"
