"""Hostile requests to the real application: never a 5xx, always a problem in JSON, and neither an answer nor
a line of the log repeats what was sent.

The addresses, methods and parts come from the OpenAPI document, so that a new endpoint is attacked too.
FUZZ_CASES asks for more (`make fuzz`).
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.keeping.keys import create_api_key
from recon_service.application.records.access import Scope
from recon_service.telemetry import configure_logging
from tests.hostile.decoding import decoding_service
from tests.hostile.mutations import crafted_depths, crafted_pictures, mutated, sound_files

CASES = int(os.environ.get("FUZZ_CASES", "12000")) // 20
SEED = int(os.environ.get("FUZZ_SEED", "20261121"))

WORDS = (
    "ada",
    "",
    ".",
    "..",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "a" * 65,
    "a" * 5000,
    "%00",
    "%0d%0aX-Evil:%201",
    "';DROP%20TABLE%20subjects;--",
    "%F0%9F%98%80",
    "%ff%fe",
    "1e999",
    "null",
    "http://169.254.169.254/",
    "-1",
    "99999999999999999999",
)
CONTENT_TYPES = (
    None,
    "application/json",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=" + "x" * 300,
    'multipart/form-data; boundary=a"b',
)
CAMERAS: tuple[Any, ...] = (
    {"width": 32, "height": 24, "fx": 30.0, "fy": 30.0, "cx": 15.5, "cy": 11.5},
    {"width": 65535, "height": 65535, "fx": 1e300, "fy": 1e-300, "cx": -1e300, "cy": 0},
    {"width": -1, "height": 0, "fx": 0, "fy": 0, "cx": 0, "cy": 0},
    {"width": 32, "height": 24, "fx": 30, "fy": 30, "cx": 15, "cy": 11, "millimetres_per_unit": 1e-308},
    {"width": 32, "height": 24, "fx": 30, "fy": 30, "cx": 15, "cy": 11, "distortion": [1e300] * 5},
    {"width": 32, "height": 24, "fx": 30, "fy": 30, "cx": 15, "cy": 11, "distortion": [0] * 500},
    {"width": 32, "height": 24, "fx": 30, "fy": 30, "cx": 15, "cy": 11, "camera": "../../etc/passwd"},
    [],
    None,
    "NaN",
    {"width": "NaN"},
)
INTRINSICS = (
    *(json.dumps(c) for c in CAMERAS),
    "",
    "{",
    '{"fx": NaN, "width": Infinity}',
    "[" * 5000,
    "\x00",
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with decoding_service(tmp_path / "state", subject="ada") as made:
        yield made


def endpoints(client: TestClient) -> list[tuple[str, str, list[str]]]:
    """Method, path and names of the parts of every endpoint."""
    found = []
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("multipart/form-data", {}).get("schema", {})
            found.append((method.upper(), path, sorted(schema.get("properties", {}))))
    return found


def upload(rng: random.Random) -> bytes:
    crafted = (*crafted_pictures().values(), *crafted_depths().values())
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(crafted)
    return mutated(rng.randrange(1 << 40))[1] if kind < 0.8 else rng.choice(list(sound_files().values()))


def parts_of(names: list[str], rng: random.Random) -> list[tuple[str, Any]]:
    parts: list[tuple[str, Any]] = []
    for name in names:
        if name in ("selfies", "depth", "image"):
            count = rng.choice((0, 1, 1, 1, 2, 11))
            parts += [(name, (rng.choice(("x.jpg", "../../x", "")), upload(rng))) for _ in range(count)]
        elif name == "intrinsics":
            parts.append((name, (None, rng.choice(INTRINSICS))))
        elif rng.random() < 0.7:
            parts.append((name, (None, rng.choice(("true", "c-1", "", "x" * 20_000, "\x00", "ä")))))
    if rng.random() < 0.1:
        parts.append(("surplus", (None, "1")))
    return parts


def attack(client: TestClient, headers: dict[str, str], rng: random.Random) -> tuple[str, Any, list[bytes]]:
    method, path, names = rng.choice(endpoints_of(client))
    for name in ("subject_id", "operation_id", "template_id", "key_id", "code"):
        word = "ada" if rng.random() < 0.6 else rng.choice(WORDS)
        path = path.replace(f"{{{name}}}", word)
    if rng.random() < 0.2:
        path += f"?state={rng.choice(WORDS)}&limit={rng.choice(WORDS)}"
    sent = dict(headers)
    if rng.random() < 0.2:
        odd = ("Idempotency-Key", "If-Match", "Accept", "Last-Event-ID", "X-Request-ID", "Content-Length")
        sent[rng.choice(odd)] = rng.choice(("", "*", "\t", "x" * 3000, "text/event-stream", 'W/"1', "1"))
    parts = parts_of(names, rng)
    what = f"{method} {path[:100]} {sorted(sent)} {[n for n, _ in parts]}"
    contents = [part[1] for _, part in parts if isinstance(part[1], bytes)]
    if rng.random() < 0.1:
        kind = rng.choice(CONTENT_TYPES)
        sent |= {"Content-Type": kind} if kind else {}
        return what, client.request(method, path, headers=sent, content=upload(rng)), contents
    return what, client.request(method, path, headers=sent, files=parts or None), contents


def endpoints_of(client: TestClient) -> list[tuple[str, str, list[str]]]:
    if not hasattr(client, "known_endpoints"):
        client.known_endpoints = endpoints(client)  # type: ignore[attr-defined]
    known: list[tuple[str, str, list[str]]] = client.known_endpoints  # type: ignore[attr-defined]
    return known


def repeated(contents: list[bytes], text: bytes) -> bool:
    """Whether a piece of an upload stands in ``text``: as it is, as hex, or as base64 at any alignment."""
    for content in contents:
        for place in range(64, len(content) - 48, max(48, len(content) // 8)):
            piece = content[place : place + 24]
            if len(set(piece)) < 12:
                continue  # padding says nothing
            shapes = [piece, piece.hex().encode(), repr(piece)[2:-1].encode()]
            shapes += [base64.b64encode(content[place + k : place + k + 24])[4:-4] for k in range(3)]
            if any(shape in text for shape in shapes):
                return True
    return False


def test_requests_are_answered_or_refused_and_never_repeated(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logging(level="debug", format="json")
    client = TestClient(create_app(service), raise_server_exceptions=False)
    token = create_api_key("all", Scope, on=service.stores).token
    rng, sent, statuses = random.Random(SEED), [], set()
    for number in range(CASES):
        what, answer, contents = attack(client, {"Authorization": f"Bearer {token}"}, rng)
        what = f"{SEED}/{number} {what}"
        statuses.add(answer.status_code)
        assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", what
            assert set(answer.json()) >= {"type", "title", "status", "detail"}, what
        if "openapi" not in what:
            assert not repeated(contents, answer.content), what
        if answer.status_code == 200 and what.split()[1] == "DELETE":
            again = EnrollmentRequest("ada", (b"x",), "c")
            made = request_enrollment(again, on=service.stores, queue=service.queue).operation.operation_id
            run_enrollment(
                made, on=service.stores, compute=service.compute, queue=service.queue, policy=JobPolicy()
            )
        sent += contents[:2]
    assert {200, 404, 422} <= statuses
    log = capfd.readouterr().err
    assert log.count('"event": "request"') >= CASES
    assert not repeated(sent[-400:], log.encode())
    for line in log.splitlines():
        if line.startswith("{"):
            for name, value in json.loads(line).items():
                assert len(str(value)) < 200 or name == "trace", f"{name} of a log line is long"
                assert not isinstance(value, list) or name == "trace", f"{name} of a log line is a vector"


def test_no_unknown_key_gets_further_than_a_refusal(service: Service) -> None:
    client = TestClient(create_app(dataclasses.replace(service)), raise_server_exceptions=False)
    rng = random.Random(SEED)
    for _ in range(100):
        what, answer, _contents = attack(client, {"Authorization": "Bearer recon_0_0"}, rng)
        open_to_all = any(p in what for p in ("/livez", "/readyz", "/problems/"))
        assert open_to_all or answer.status_code in (401, 404, 405, 400), f"{what}: {answer.status_code}"
