"""JSON bodies that are too large or too slow, on a real server."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.body_limits import MAX_JSON_BYTES
from recon_service.api.service import Service
from recon_service.application.records.access import Scope
from tests.unit.api.conftest import authorization


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    """A server that gives a body half a second."""
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_a_json_endpoint_reads_no_large_body_of_any_kind(address: str, service: Service, kind: str) -> None:
    headers = authorization(service.stores, Scope.VERIFY) | {"Content-Type": kind}
    large = (b" " * 65_536 for _ in range(20 * MAX_JSON_BYTES // 65_536))
    try:
        answer = httpx.post(f"{address}/v1/kiosk-sessions", headers=headers, content=large, timeout=30)
        assert answer.status_code == 413
        assert answer.json()["type"] == "/problems/payload-too-large"
    except httpx.NetworkError:
        pass  # the server hung up while the client was still sending: as good an end
    small = httpx.post(f"{address}/v1/kiosk-sessions", headers=headers, content=b"{}", timeout=30)
    assert small.status_code == (201 if kind == "application/json" else 422)


def test_a_slow_json_body_is_not_waited_for(address: str, service: Service) -> None:
    key = authorization(service.stores, Scope.VERIFY)["Authorization"]
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = (
            f"POST /v1/kiosk-sessions HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        )
        connection.sendall(head.encode())
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")


def test_the_body_of_a_stranger_is_not_read(address: str, service: Service) -> None:
    """Nor that of a key without the scope: a connection costs nobody a megabyte."""
    other = authorization(service.stores, Scope.ENROLL)["Authorization"]
    keys = ["", f"Bearer recon_000000000000_{'0' * 64}", other]
    for key, status in zip(keys, (401, 401, 403), strict=True):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            head = (
                f"POST /v1/kiosk-sessions HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
                "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"
            )
            connection.sendall(head.encode())
            answer = connection.recv(4096)
        assert answer.startswith(f"HTTP/1.1 {status}".encode())
        assert b"application/problem+json" in answer


def test_a_request_with_a_body_is_counted_once(fresh_service: Service) -> None:
    wanted = fresh_service.settings.model_copy(update={"requests_per_minute": 5})
    client = TestClient(create_app(dataclasses.replace(fresh_service, settings=wanted)))
    headers = authorization(fresh_service.stores, Scope.VERIFY)
    answers = [client.post("/v1/kiosk-sessions", json={}, headers=headers).status_code for _ in range(7)]
    assert answers == [201] * 5 + [429] * 2
