"""Connections on which nothing is served: how long they may be kept, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from websockets.sync.client import connect

from recon_service.api.http_protocol import ImpatientProtocol

HEAD = b"POST / HTTP/1.1\r\nHost: here\r\n"


class Quick(ImpatientProtocol):
    head_s = 0.4


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads as long as its path says, then answers."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(3 * Quick.head_s)
        await send({"type": "websocket.send", "text": "still here"})
        return
    if scope["path"] == "/reads":
        while (await receive())["more_body"]:
            pass
    if scope["path"] == "/thinks":
        await asyncio.sleep(3 * Quick.head_s)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Quick, lifespan="off", log_config=None, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield int(listener.getsockname()[1])
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as made:
        yield made


def closed(connection: socket.socket, drip: bytes = b"") -> bool:
    """Whether the other side hangs up, though a byte comes now and then."""
    end = time.monotonic() + 20
    connection.settimeout(0.05)
    while time.monotonic() < end:
        try:
            if not connection.recv(4096):
                return True
        except TimeoutError:
            pass
        except ConnectionError:
            return True
        try:
            connection.sendall(drip)
        except ConnectionError:
            return True
    return False


def test_a_connection_without_a_request_is_closed(connection: socket.socket) -> None:
    assert closed(connection)


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    assert closed(connection, b"X")


def test_nor_is_the_second_one(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 204")
    connection.sendall(HEAD)
    assert closed(connection, b"X")


def test_nor_is_the_rest_of_a_body_that_was_answered(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 204")
    assert closed(connection, b"x")


def test_a_websocket_is_no_request(port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}/") as socket_:
        assert socket_.recv(timeout=20) == "still here"


def test_what_is_being_served_may_take_longer(connection: socket.socket) -> None:
    connection.sendall(b"GET /thinks HTTP/1.1\r\nHost: here\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 204")
    connection.sendall(b"POST /reads HTTP/1.1\r\nHost: here\r\nContent-Length: 12\r\n\r\n")
    for _ in range(12):
        time.sleep(Quick.head_s / 4)
        connection.sendall(b"x")
    assert connection.recv(4096).startswith(b"HTTP/1.1 204"), "bodies have limits of their own"
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 3)
    answered = b""
    while answered.count(b"HTTP/1.1 204") < 3:
        answered += connection.recv(4096)
