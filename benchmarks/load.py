"""Throughput, latency, fairness and memory of a whole service under load, beside the peer that one would
write.

    pip install 'recon-service[load]'
    python benchmarks/load.py                              about seven minutes, one worker
    python benchmarks/load.py --workers 2 --seconds 120 --soak 900 --out load.json
    python benchmarks/load.py --only idle,mix              some of the phases

One API process with two compute processes, n workers, PostgreSQL, Redis and S3 servers, and locust, all on
this machine: set ``taskset -c 0,1`` before it to measure two cores of a bigger one. People are simulated
(three selfies of 720 x 960, three depth frames of 640 x 480); each verification opens a kiosk session and
sends frames that were never sent before, as production asks for.

Ten kiosks, evenly spread, or with --random at random moments. idle: verifications alone, 5/s. mix: the same
beside 1 enrollment/s. batch: the same beside a batch that never ends. capacity: enrollments as fast as they
are taken, until all are done. soak: the mix, with the memory of every process. peer: the same selfies to
face_recognition behind FastAPI, synchronous.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.loading.peer import peer
from benchmarks.loading.people import make_people
from benchmarks.loading.people_at_work import Load, run, told
from benchmarks.loading.report import show
from benchmarks.loading.rig import Rig, drain, processor_of, service, settle
from tests.integration.running import wait_for_end

PEOPLE = 4
VERIFICATIONS = 5.0
ENROLLMENTS = 1.0
ENOUGH_PER_SECOND = 12
"""Enrollments that keep the workers of two cores busy for a second."""
KIOSKS = Load("Kiosk", VERIFICATIONS, 10)
APPS = Load("App", ENROLLMENTS, 4)
console = Console(stderr=True)


def prime(rig: Rig) -> None:
    """Enroll the people that will verify, and warm everything."""
    with rig.server.client(rig.key) as client:
        for place in sorted(p for p in (rig.folder / "people").iterdir() if p.is_dir()):
            files = [("selfies", (s.name, s.read_bytes())) for s in sorted(place.glob("selfie-*"))]
            path = f"/v1/subjects/{place.name}/enrollments"
            answer = client.post(path, files=files, data={"consent_id": "consent-load"}).raise_for_status()
            ended = wait_for_end(client, answer.headers["location"], limit_s=120)
            if ended["state"] != "succeeded":
                raise SystemExit(f"a simulated person was not enrolled: {ended}")
    run(rig, [KIOSKS], 5)
    settle(rig)


def idle(rig: Rig, seconds: float) -> dict[str, Any]:
    result: dict[str, Any] = {}
    with processor_of(rig, result, "verification"):
        lines = run(rig, [KIOSKS], seconds)
        result |= {"verification": told(lines, "verification"), "session": told(lines, "session")}
    return result


def mix(rig: Rig, seconds: float) -> dict[str, Any]:
    lines = run(rig, [KIOSKS, APPS], seconds)
    drain(rig)
    return {"verification": told(lines, "verification"), "enrollment": told(lines, "enrollment")}


def batch(rig: Rig, seconds: float) -> dict[str, Any]:
    """The lane for batches is filled beforehand and never empty while kiosks verify."""
    while rig.waiting("batch") < ENOUGH_PER_SECOND * seconds:
        run(rig, [Load("App", 0, 4)], 2, batch=True)
    before = rig.ended()
    lines = run(rig, [KIOSKS], seconds)
    done, empty = rig.ended() - before, rig.waiting("batch") == 0
    drain(rig)
    return {
        "verification": told(lines, "verification"),
        "enrolled_per_second": round(done / seconds, 2),
        "ran_empty": empty,
    }


def capacity(rig: Rig, seconds: float) -> dict[str, Any]:
    result: dict[str, Any] = {}
    before, begun = rig.ended(), time.monotonic()
    with processor_of(rig, result, "enrollment"):
        lines = run(rig, [Load("App", 0, 4)], max(5.0, seconds / 6))
        result["enrollment"] = told(lines, "enrollment")
        drain(rig)
    done = rig.ended() - before
    result |= {"completed": done, "completed_per_second": round(done / (time.monotonic() - begun), 2)}
    return result


def soak(rig: Rig, seconds: float) -> dict[str, Any]:
    stop = threading.Event()
    rig.memory.clear()

    def watch() -> None:
        while not stop.wait(max(2.0, seconds / 60)):
            with contextlib.suppress(httpx.HTTPError):
                rig.look_at_memory()

    watcher = threading.Thread(target=watch)
    watcher.start()
    lines = run(rig, [KIOSKS, APPS], seconds)
    stop.set()
    watcher.join()
    drain(rig)
    # The first tenth is warming up; then it should be flat.
    steady = rig.memory[len(rig.memory) // 10 :]
    hour = 3600.0 / max(1.0, steady[-1]["at"] - steady[0]["at"])
    parts = {
        name: {
            "first_mb": round(steady[0][name] / 1e6, 1),
            "last_mb": round(steady[-1][name] / 1e6, 1),
            "mb_per_hour": round((steady[-1][name] - steady[0][name]) / 1e6 * hour, 1),
        }
        for name in steady[0]
        if name != "at"
    }
    return {
        "seconds": seconds,
        "verification": told(lines, "verification"),
        "enrollment": told(lines, "enrollment"),
        "memory": parts,
    }


PHASES = {"idle": idle, "mix": mix, "batch": batch, "capacity": capacity, "soak": soak, "peer": peer}


def keep(results: dict[str, Any], wanted: argparse.Namespace) -> None:
    """After every phase: what was measured for minutes is not lost with the next one."""
    if wanted.out is None:
        return
    machine = {
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }
    wanted.out.write_text(json.dumps({**machine, "workers": wanted.workers, **results}, indent=1))


def main() -> int:
    """Run the phases that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--compute", type=int, default=2, help="compute processes of the API")
    parser.add_argument("--random", action="store_true", help="requests come at random moments")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase")
    parser.add_argument("--soak", type=float, default=120.0, help="seconds of the soak")
    parser.add_argument("--model", default="auto", help="auto, builtin or dense")
    parser.add_argument("--only", default=",".join(PHASES), help="phases, separated by commas")
    parser.add_argument("--out", type=Path, help="file for all figures, as JSON")
    wanted = parser.parse_args()
    if find_spec("locust") is None:
        print("this benchmark needs locust: pip install 'recon-service[load]'")
        return 0
    # Asked to stop, it takes its servers along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    phases = [p for p in PHASES if p in wanted.only.split(",")]
    folder = Path(tempfile.mkdtemp(prefix="recon-load-"))
    results: dict[str, Any] = {}
    try:
        console.print("simulating people …")
        make_people(folder / "people", PEOPLE, model=wanted.model)
        with service(folder, workers=wanted.workers, compute=wanted.compute, model=wanted.model) as rig:
            rig.random = wanted.random
            prime(rig)
            for phase in phases:
                console.print(f"{phase} … (load average {os.getloadavg()[0]:.1f})")
                seconds = wanted.soak if phase == "soak" else wanted.seconds
                results[phase] = PHASES[phase](rig, seconds)
                keep(results, wanted)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
