"""Enrollment through the API with a reconstruction backend: both portraits, and one that cannot be had."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from recon_service.backends import register_backend
from tests.integration.running import Server, enroll, portrait_jpeg

pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")
pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, weights_mirror: Path) -> Iterator[Server]:
    weights = tmp_path_factory.mktemp("weights")
    settings = {
        "RECON_WEIGHTS_DIR": str(weights),
        "RECON_WEIGHTS_MIRROR": str(weights_mirror),
        "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS": "1",
        "RECON_MODEL": "dense",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in settings.items():
            patched.setenv(name, value)
        register_backend("tddfa_v2", check=False)
    running = Server(tmp_path_factory.mktemp("service") / "state", settings).start()
    try:
        yield running
    finally:
        running.stop()


def test_both_portraits_are_enrolled_with_the_backend(server: Server) -> None:
    with server.client() as client:
        for name in ("astronaut", "grace_hopper"):
            operation = enroll(client, name, portrait_jpeg(name), backend="tddfa_v2")
            assert operation["state"] == "succeeded", operation["problem"]
            assert operation["backend"] == "tddfa_v2"
            assert client.get(operation["links"]["mesh"]).content[:4] == b"glTF"


def test_the_mesh_is_evidence(server: Server) -> None:
    with server.client() as client:
        meshes = [
            client.get(
                enroll(client, f"one-{backend}", portrait_jpeg("astronaut"), backend=backend)["links"]["mesh"]
            )
            for backend in ("facemesh", "tddfa_v2")
        ]
    assert meshes[0].content != meshes[1].content


def test_a_backend_that_cannot_be_had_ends_the_operation_at_once_with_what_to_do(server: Server) -> None:
    with server.client() as client:
        operation = enroll(client, "unlucky", portrait_jpeg("astronaut"), backend="deca")
    assert (operation["state"], operation["attempts"]) == ("failed", 1)
    assert operation["problem"]["code"] == "backend-unavailable"
    assert "recon weights convert deca" in str(operation["problem"])


def test_an_unknown_backend_is_refused(server: Server) -> None:
    with server.client() as client:
        answer = client.post(
            "/v1/subjects/nobody/enrollments",
            files=[("selfies", ("a.jpg", portrait_jpeg("astronaut")))],
            data={"consent_id": "c", "backend": "x" * 500},
        )
    assert answer.status_code == 422
    assert "unknown-backend" in answer.text
    assert "tddfa_v2" in str(answer.json())
    assert len(answer.content) < 2000


def test_no_process_of_the_service_loads_torch(server: Server) -> None:
    assert server.process is not None
    for pid in [server.process.pid, *_children(server.process.pid)]:
        mapped = Path(f"/proc/{pid}/maps")
        if mapped.exists() and os.access(mapped, os.R_OK):
            assert "libtorch" not in mapped.read_text()


def _children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]
