"""A real PostgreSQL: the one that the package `pgserver` brings, else the machine's."""

from __future__ import annotations

import functools
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.servers.processes import ServerProcess, free_port, program, remove

PASSWORD = "only-for-tests"
INSTALL = "on Debian or Ubuntu: sudo apt-get install postgresql; or make setup with Python 3.11 or 3.12"


def binaries() -> Path:
    """The folder of initdb and postgres. Raises ServerMissing."""
    bundled = importlib.util.find_spec("pgserver")
    beside = [Path(bundled.origin).parent / "pginstall" / "bin"] if bundled and bundled.origin else []
    # Debian keeps them off the PATH.
    beside += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -float(p.parent.name))
    return program("initdb", beside=beside, install=INSTALL).parent


class Postgres:
    """One server with any number of databases. It may be stopped, killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        # Root may not run PostgreSQL: it runs as nobody then, in a folder that nobody can reach.
        self._user: dict[str, Any] = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
        self._folder = Path(tempfile.mkdtemp(prefix="recon-postgres-"))
        self._folder.chmod(0o755)
        self._binaries = self._reachable(binaries())
        self._cluster = self._folder / "cluster"
        self._cluster.mkdir()
        if self._user:
            shutil.chown(self._cluster, "nobody")
        self._initialize()
        self.server = ServerProcess(
            [
                str(self._binaries / "postgres"),
                *("-D", str(self._cluster), "-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
                # A killed process loses nothing that the kernel has: fsync guards against power cuts, which
                # no test causes.
                *("-c", "fsync=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB"),
                *("-c", "log_min_messages=fatal"),
            ],
            log=self._folder / "log",
            answers=lambda: self._admin("SELECT 1"),
            cwd="/",
            **self._user,
        )

    def start(self) -> Postgres:
        """Start, and wait until it answers."""
        # A killed server leaves its process id behind; another process may have it by now.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        self.server.start()
        return self

    def close(self) -> None:
        """Stop, and remove everything."""
        self.server.stop(signal.SIGINT)
        remove(self._folder)

    def url(self, database: str = "postgres") -> str:
        """As RECON_DATABASE_URL."""
        return f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database that is gone after the block."""
        name = self.make_database()
        try:
            yield self.url(name)
        finally:
            self.drop_database(name)

    def make_database(self, template: str = "template1") -> str:
        """A new database; its name."""
        name = f"recon_{secrets.token_hex(6)}"
        self._admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY WAL_LOG')
        return name

    def drop_database(self, name: str) -> None:
        """Also when somebody is still connected."""
        self._admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _admin(self, statement: str) -> None:
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=PASSWORD,
            dbname="postgres",
            autocommit=True,
            connect_timeout=30,
        ) as connection:
            connection.execute(statement.encode())

    def _initialize(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        subprocess.run(
            [
                str(self._binaries / "initdb"),
                *("-D", str(self._cluster), "-U", "postgres", "--pwfile", str(secret)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd="/",
            **self._user,
        )

    def _reachable(self, folder: Path) -> Path:
        """The programs, copied if the user they run as cannot reach them where they are."""
        if not self._user or _runs(folder / "postgres", self._user):
            return folder
        # With the libraries beside it in the same places: the programs look for them from where they lie.
        packages, copy = folder.parents[2], self._folder / "program"
        shutil.copytree(folder.parent, copy / folder.relative_to(packages).parent, symlinks=True)
        for libraries in packages.glob("pgserver.libs"):
            shutil.copytree(libraries, copy / libraries.name)
        return copy / folder.relative_to(packages)


def _runs(path: Path, user: dict[str, Any]) -> bool:
    try:
        return subprocess.run([path, "--version"], capture_output=True, cwd="/", **user).returncode == 0
    except PermissionError:
        return False


@functools.cache
def version() -> str:
    """Of the server that the tests run against."""
    return subprocess.run(
        [binaries() / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
