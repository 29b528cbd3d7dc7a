"""Real `recon serve` and `recon worker` processes, as the integration tests start, ask and kill them."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import sqlalchemy as sa
from PIL import Image as PillowImage

from recon_service.application.ports.objects import ObjectStore
from recon_service.bootstrap import open_objects
from recon_service.settings import Settings
from recon_service.storage.engines import open_engine
from tests.servers.processes import ends_with_parent, free_port, with_small_files

ENDED = ("succeeded", "rejected", "failed")
START_LIMIT_S = 120.0


@functools.cache
def portrait_jpeg(name: str, width: int = 512) -> bytes:
    """One of the two portraits that ship in packages, as a JPEG file."""
    from tests.images import portrait

    pixels = np.asarray(portrait(name))
    image = PillowImage.fromarray(pixels).resize((width, width * pixels.shape[0] // pixels.shape[1]))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92)
    return file.getvalue()


@dataclass
class Server:
    """One service with its state folder; it may be started again after its end. With a broker of its own
    among the settings, ``workers`` worker processes belong to it.
    """

    state: Path
    settings: dict[str, str] = field(default_factory=dict)
    workers: int = 1
    largest_file: int | None = None
    """Files may not grow beyond so many bytes, as on a full disk."""
    crew: list[Worker] = field(init=False, default_factory=list)
    log: Path = field(init=False)
    port: int = field(init=False, default=0)
    key: str = field(init=False, default="")
    process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.log = self.state.parent / f"{self.state.name}.log"
        if "RECON_BROKER_URL" in self.settings:
            self.crew = [Worker(self) for _ in range(self.workers)]

    def environment(self) -> dict[str, str]:
        kept = ("RECON_WEIGHTS_DIR", "RECON_WEIGHTS_MIRROR")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RECON_") or k in kept}
        # The built-in model: the same code, and a start in half a second on any machine.
        return {**clean, "RECON_STATE_DIR": str(self.state), "RECON_MODEL": "builtin", **self.settings}

    def start(self, *, ready: bool = True) -> Server:
        self.start_api(ready=ready)
        for worker in self.crew:
            worker.start()
        return self

    def start_api(self, *, ready: bool = True) -> None:
        self.port = self.port or free_port()
        command = [sys.executable, "-m", "recon_service", "serve", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                with_small_files(command, self.largest_file) if self.largest_file is not None else command,
                stdout=log,
                stderr=log,
                env=self.environment(),
            )
        try:
            self._wait(ready)
        except AssertionError:
            self.process.kill()
            raise
        found = re.findall(r"RECON_API_KEY=(\S+)", self.log.read_text())
        self.key = found[0] if found else self.key

    def _wait(self, ready: bool) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the service ended: {self.log.read_text()[-2000:]}")
            try:
                answer = httpx.get(f"{self.url}/{'readyz' if ready else 'livez'}", timeout=5.0)
                if answer.status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.03)
        raise AssertionError(f"the service did not start: {self.log.read_text()[-2000:]}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, key: str | None = None) -> httpx.Client:
        chosen = self.key if key is None else key
        headers = {"Authorization": f"Bearer {chosen}"} if chosen else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60.0)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        for worker in self.crew:
            worker.kill()
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def resolved(self) -> Settings:
        """Its settings, for looking at what it stores from outside."""
        ours = {k: v for k, v in self.settings.items() if k.startswith("RECON_")}
        values = {k.removeprefix("RECON_").lower(): v for k, v in ours.items()}
        return Settings.model_validate({**values, "state_dir": self.state})

    @contextlib.contextmanager
    def database(self) -> Iterator[sa.Connection]:
        """A transaction on its database."""
        engine = open_engine(self.resolved().resolved_database_url)
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def objects(self) -> ObjectStore:
        """Its object store."""
        return open_objects(self.resolved())

    def command(self, *arguments: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run `recon …` with this service's settings."""
        extra = kwargs.pop("env", {})
        return subprocess.run(
            [sys.executable, "-m", "recon_service", *arguments],
            env={**self.environment(), "COLUMNS": "200", **extra},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
            **kwargs,
        )


class Worker:
    """One `recon worker` with its pool, its compute process and its housekeeping."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns at once: what is published before it is there waits for it."""
        with self._server.log.open("ab") as log:
            self.process = subprocess.Popen(
                ends_with_parent([sys.executable, "-m", "recon_service", "worker"]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._server.environment(),
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9 for all of its processes at once, as when a machine loses its power."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def terminate(self, limit_s: float = 150.0) -> int:
        """Ask it to stop, and wait until it has."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(limit_s)

    def wait_until_ready(self, limit_s: float = 150.0) -> None:
        """Until it takes work, and signals as it should: its housekeeping begins then."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            with contextlib.suppress(psutil.Error):
                if any("worker.housekeeping" in part.cmdline() for part in self.parts()):
                    return
            time.sleep(0.1)
        raise AssertionError("the worker did not become ready")

    def parts(self) -> list[psutil.Process]:
        """The worker's processes: itself first, then pool, compute and housekeeping."""
        assert self.process is not None
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def eventually(condition: Callable[[], bool], *, limit_s: float = 30.0) -> bool:
    """Whether it comes true: objects go after the commit that says so."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def selfies(*contents: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("selfies", (f"{n}.jpg", content)) for n, content in enumerate(contents)]


def wait_for_end(client: httpx.Client, location: str, *, limit_s: float = 150.0) -> dict[str, Any]:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        operation: dict[str, Any] = client.get(location).raise_for_status().json()
        if operation["state"] in ENDED:
            return operation
        time.sleep(0.02)
    raise AssertionError(f"the operation did not end: {operation}")


def enroll(client: httpx.Client, subject: str, *contents: bytes, **fields: str) -> dict[str, Any]:
    """Enroll and wait for the end."""
    answer = client.post(
        f"/v1/subjects/{subject}/enrollments",
        files=selfies(*contents),
        data={"consent_id": "consent-1", **fields},
    )
    assert answer.status_code == 202, answer.text
    return wait_for_end(client, answer.headers["location"])
