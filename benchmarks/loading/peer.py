"""The peer: face_recognition behind FastAPI. It needs an older setuptools, so an environment of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.loading.people_at_work import Load, run, told
from benchmarks.loading.rig import Rig
from tests.servers.processes import free_port

PEER_NEEDS = (
    "dlib-bin",
    "numpy",
    "pillow",
    "fastapi",
    "uvicorn",
    "python-multipart",
    "face_recognition_models",
    "setuptools<81",
)
PEER = Path(__file__).resolve().parent.parent / "peers/face_recognition_service.py"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "recon-service-bench"


def peer(rig: Rig, seconds: float) -> dict[str, Any]:
    """In an environment of its own, since it needs an older setuptools."""
    home = CACHE / "face-recognition"
    python = home / "bin/python"
    if not (home / "ready").exists():
        print("making the peer's environment …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PEER_NEEDS], check=True, capture_output=True)
        subprocess.run([*pip, "--no-deps", "face_recognition"], check=True, capture_output=True)
        (home / "ready").touch()
    port = free_port()
    process = subprocess.Popen([str(python), str(PEER), str(port)], stdout=subprocess.DEVNULL)
    host = f"http://127.0.0.1:{port}"
    try:
        _wait_until_live(host, process)
        before = psutil.Process(process.pid).cpu_times()
        lines = run(rig, [Load("PeerApp", 0, 4)], seconds, host=host)
        after = psutil.Process(process.pid).cpu_times()
    finally:
        process.kill()
        process.wait()
    result: dict[str, Any] = {"enrollment": told(lines, "peer")}
    if result["enrollment"]["failed"]:
        raise SystemExit("requests to the peer failed: there is nothing to compare with")
    spent = after.user + after.system - before.user - before.system
    result["processor_ms"] = {"peer": round(1000 * spent / max(1, result["enrollment"]["answers"]), 1)}
    return result


def _wait_until_live(host: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(f"{host}/livez")
            if answer.status_code == 200 and answer.json().get("pid") == process.pid:
                return  # else another program has the port
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("the peer does not start: another program may have taken its port; run it again")
