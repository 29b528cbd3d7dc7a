"""A real `recon serve` process on a free loopback port, as the integration tests start, ask and kill it."""

from __future__ import annotations

import functools
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image as PillowImage

ENDED = ("succeeded", "rejected", "failed")
START_LIMIT_S = 60.0


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
    """One service with its state folder; it may be started again after its end."""

    state: Path
    settings: dict[str, str] = field(default_factory=dict)
    log: Path = field(init=False)
    port: int = field(init=False, default=0)
    key: str = field(init=False, default="")
    process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.log = self.state.parent / f"{self.state.name}.log"

    def environment(self) -> dict[str, str]:
        kept = ("RECON_WEIGHTS_DIR", "RECON_WEIGHTS_MIRROR")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RECON_") or k in kept}
        # The built-in model: the same code, and a start in half a second on any machine.
        return {**clean, "RECON_STATE_DIR": str(self.state), "RECON_MODEL": "builtin", **self.settings}

    def start(self, *, ready: bool = True) -> Server:
        self.port = self.port or free_port()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "recon_service", "serve", "--port", str(self.port)],
                stdout=log,
                stderr=log,
                env=self.environment(),
            )
        self._wait(ready)
        found = re.findall(r"RECON_API_KEY=(\S+)", self.log.read_text())
        self.key = found[0] if found else self.key
        return self

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
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def command(self, *arguments: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run `recon …` with this service's settings."""
        extra = kwargs.pop("env", {})
        return subprocess.run(
            [sys.executable, "-m", "recon_service", *arguments],
            env={**self.environment(), "COLUMNS": "200", **extra},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **kwargs,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def selfies(*contents: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("selfies", (f"{n}.jpg", content)) for n, content in enumerate(contents)]


def wait_for_end(client: httpx.Client, location: str, *, limit_s: float = 60.0) -> dict[str, Any]:
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
