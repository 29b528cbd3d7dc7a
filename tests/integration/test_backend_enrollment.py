"""Enrollment through the API with a reconstruction backend: both portraits, and one that cannot be had."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import trimesh

from recon_service.backends import register_backend
from tests.integration.running import Server, enroll, portrait_jpeg

pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")
pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, weights_mirror: Path) -> dict[str, str]:
    """With the weights in place and registered."""
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
    return settings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Iterator[Server]:
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


def test_enrollments_share_one_process_for_their_networks_and_outlive_it(
    tmp_path: Path, settings: dict[str, str], server: Server
) -> None:
    """Two at a time; the process is killed, and the next ones wait until it is back. The faces are those of
    a service without it.
    """
    shared = {"RECON_NETWORK_PROCESS": "true", "RECON_ENROLLMENT_PROCESSES": "2"}
    running = Server(tmp_path / "state", {**settings, **shared}).start()
    try:
        with running.client() as client:
            assert client.get("/readyz").json()["parts"]["recon_models_loaded"] == "ok"
            first = _enrolled_together(client, "first")
            assert running.process is not None
            (networks,) = [
                p for p in _processes(running.process.pid) if "worker.networks" in " ".join(p.cmdline())
            ]
            networks.kill()
            second = _enrolled_together(client, "second")
    finally:
        running.stop()
    with server.client() as client:
        alone = _enrolled_together(client, "alone")
    for faces in (first, second):
        for face, wanted in zip(faces, alone, strict=True):
            np.testing.assert_allclose(face, wanted, atol=1e-4 * np.ptp(wanted))


def _enrolled_together(client: httpx.Client, round_: str) -> list[np.ndarray]:
    """Vertices of both portraits, enrolled at the same time."""

    def one(name: str) -> np.ndarray:
        operation = enroll(client, f"{name}-{round_}", portrait_jpeg(name), backend="tddfa_v2")
        assert operation["state"] == "succeeded", operation
        assert (operation["attempts"], operation["backend"]) == (1, "tddfa_v2")
        content = client.get(operation["links"]["mesh"]).content
        return np.asarray(trimesh.load(io.BytesIO(content), file_type="glb", force="mesh").vertices)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, ("astronaut", "grace_hopper")))


def _processes(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _children(pid: int) -> list[int]:
    return [child.pid for child in _processes(pid)]
