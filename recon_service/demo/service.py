"""The real service as a process of its own, on a free loopback port with an empty state folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from recon_service.domain.errors import ServiceFault

START_SECONDS = 60.0
STOP_SECONDS = 15.0
_KEY = re.compile(r"\brecon_[0-9a-f]{12}_[0-9a-f]{64}\b")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


class ServiceDidNotStart(ServiceFault):
    """``recon serve`` ended or stayed silent."""

    code = "service-did-not-start"
    title = "The service did not start"


@dataclass(frozen=True, slots=True)
class RunningService:
    """url: where it listens. api_key: the development key that it printed."""

    url: str
    api_key: str


@contextmanager
def running_service() -> Iterator[RunningService]:
    """Start ``recon serve``, wait until it is ready, and end it with everything it stored."""
    with tempfile.TemporaryDirectory(prefix="recon-demo-") as folder:
        state = Path(folder)
        log = state / "serve.log"
        # Of the caller's settings only those about model files count: the demo must not touch a real
        # database.
        kept = (
            "RECON_WEIGHTS_DIR",
            "RECON_WEIGHTS_MIRROR",
            "RECON_MODEL",
            "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS",
        )
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RECON_") or k in kept}
        environment |= {
            "RECON_STATE_DIR": str(state / "state"),
            "RECON_HOST": "127.0.0.1",
            "RECON_PORT": "0",
            "PYTHONUNBUFFERED": "1",
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "recon_service", "serve"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
            try:
                yield _when_ready(process, log)
            finally:
                _end(process)


def _when_ready(process: subprocess.Popen[bytes], log: Path) -> RunningService:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        said = log.read_text(errors="replace")
        key, address = _KEY.search(said), _ADDRESS.search(said)
        if key and address and _is_ready(address.group()):
            return RunningService(address.group(), key.group())
        time.sleep(0.1)
    last = " / ".join(_KEY.sub("KEY", log.read_text(errors="replace")).strip().splitlines()[-4:])
    raise ServiceDidNotStart(f"recon serve said: {last}", next_step="Run recon serve by itself and see.")


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
