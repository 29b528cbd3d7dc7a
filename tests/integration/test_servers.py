"""The servers of the tests are real, and stand what the fault tests do to them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import psycopg
import pytest
import redis

from tests.servers.postgres import Postgres
from tests.servers.processes import ServerMissing, program
from tests.servers.proxy import Proxy
from tests.servers.redis_server import Redis


def test_a_missing_program_is_an_error_that_names_the_step() -> None:
    with pytest.raises(ServerMissing, match="apt-get install something"):
        program("no-such-program", install="sudo apt-get install something")


def test_postgres_keeps_what_was_committed_when_it_is_killed() -> None:
    server = Postgres()
    try:
        server.start()
        address = server.url().replace("+psycopg", "")
        with psycopg.connect(address) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        server.server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(address, connect_timeout=2)
        server.start()
        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (7,)
    finally:
        server.close()


def test_redis_asks_for_its_password(redis_server: Redis) -> None:
    assert redis_server.client().ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=redis_server.port).ping()


@pytest.fixture
def proxy(redis_server: Redis) -> Iterator[Proxy]:
    made = Proxy(redis_server.port).start()
    yield made
    made.close()


def ping(port: int, *, limit_s: float = 1.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=limit_s) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(100)


def test_the_proxy_forwards_slows_stalls_and_refuses(proxy: Proxy) -> None:
    assert ping(proxy.port).startswith(b"-NOAUTH")
    proxy.delay_s = 0.2
    begun = time.monotonic()
    assert ping(proxy.port)
    assert time.monotonic() - begun >= 0.2
    proxy.delay_s, proxy.stalled = 0.0, True
    with pytest.raises(TimeoutError):
        ping(proxy.port, limit_s=0.2)
    proxy.stalled = False
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        ping(proxy.port)
    proxy.start()
    assert ping(proxy.port)
