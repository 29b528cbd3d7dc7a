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
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.loading.people import make_people
from tests.integration.running import Server, Worker, wait_for_end
from tests.servers.postgres import Postgres
from tests.servers.processes import free_port
from tests.servers.redis_server import Redis
from tests.servers.s3_server import ACCESS_KEY, S3, SECRET_KEY
from tests.stacks import MASTER_KEY

ROOT = Path(__file__).resolve().parent.parent
PHASES = ("idle", "mix", "batch", "capacity", "soak", "peer")
PEOPLE = 4
VERIFICATIONS = 5.0
ENROLLMENTS = 1.0
BATCH_AHEAD = 40
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
PEER = ROOT / "benchmarks/peers/face_recognition_service.py"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "recon-service-bench"
console = Console(stderr=True)


@dataclass
class Rig:
    """The service under load."""

    server: Server
    folder: Path
    ports: list[int]
    """Of the metrics: API first, then workers."""
    random: bool = False
    """Requests come at random moments, not evenly spread."""
    key: str = ""
    memory: list[dict[str, float]] = field(default_factory=list)

    def numbers(self, port: int) -> dict[str, float]:
        """Sums over labels, by series; memory by part."""
        found: dict[str, float] = {}
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                part = sample.labels.get("lane") or sample.labels.get("part") or ""
                name = f"{sample.name}:{part}" if part else sample.name
                found[name] = found.get(name, 0.0) + sample.value
        return found

    def waiting(self, lane: str) -> float:
        return self.numbers(self.ports[0])[f"recon_queue_waiting:{lane}"]

    def ended(self) -> float:
        counted = (self.numbers(port) for port in self.ports[1:])
        return sum(v for n in counted for k, v in n.items() if k.startswith("recon_enrollments_total"))

    def look_at_memory(self) -> None:
        seen = {"at": time.time()}
        for name, port in zip(
            ("api", *(f"worker{n}" for n in range(1, len(self.ports)))), self.ports, strict=True
        ):
            numbers = self.numbers(port)
            seen[name] = numbers["recon_resident_bytes:head"] + numbers["recon_resident_bytes:below"]
        self.memory.append(seen)


def processor_seconds(rig: Rig) -> dict[str, float]:
    """What each part has used so far; of the servers: database, broker and objects."""

    def used(process: psutil.Process) -> float:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            return float(times.user + times.system)
        return 0.0

    def below(pid: int) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(pid).children(recursive=True)
        return []

    api = rig.server.process
    workers = [w.process.pid for w in rig.server.crew if w.process is not None]
    assert api is not None
    ours = {api.pid, *(p.pid for p in below(api.pid))}
    of_workers = {pid for w in workers for pid in (w, *(p.pid for p in below(w)))}
    rest = [p for p in below(os.getpid()) if p.pid not in ours | of_workers]
    return {
        "api": used(psutil.Process(api.pid)),
        "compute": sum(used(p) for p in below(api.pid)),
        "workers": sum(used(psutil.Process(pid)) for pid in of_workers if psutil.pid_exists(pid)),
        "servers": sum(used(p) for p in rest),
    }


@contextlib.contextmanager
def processor_of(rig: Rig, result: dict[str, Any], name: str) -> Iterator[None]:
    """Milliseconds of processor time per answer, by part: what a busy machine does not change much."""
    before = processor_seconds(rig)
    yield
    # A process that ended takes along what it used.
    spent = {k: max(0.0, v - before[k]) for k, v in processor_seconds(rig).items()}
    answers = max(1, result[name]["answers"])
    result["processor_ms"] = {k: round(1000 * v / answers, 1) for k, v in spent.items()}


@contextlib.contextmanager
def service(folder: Path, *, workers: int, compute: int, model: str) -> Iterator[Rig]:
    """An API process and workers on servers of their own."""
    with contextlib.ExitStack() as stack:
        postgres, redis, s3 = Postgres(), Redis(), S3()
        for part in (postgres, redis, s3):
            stack.callback(part.close)
            part.start()
        ports = [free_port() for _ in range(1 + workers)]
        settings = {
            "RECON_DATABASE_URL": postgres.url(postgres.make_database()),
            "RECON_OBJECT_STORE": f"s3://{s3.make_bucket()}/recon",
            "RECON_S3_ENDPOINT": s3.endpoint,
            "RECON_S3_ACCESS_KEY": ACCESS_KEY,
            "RECON_S3_SECRET_KEY": SECRET_KEY,
            "RECON_BROKER_URL": redis.url(),
            "RECON_MASTER_KEY": MASTER_KEY,
            "RECON_MODEL": model,
            "RECON_COMPUTE_PROCESSES": str(compute),
            "RECON_LOG_LEVEL": "warning",
            "RECON_LOG_FORMAT": "json",
            # Simulated people are not everybody, and one key stands for many kiosks here.
            "RECON_LOCKOUT_SUBJECT_FAILURES": "0",
            "RECON_LOCKOUT_KEY_FAILURES": "0",
            "RECON_REQUESTS_PER_MINUTE": "0",
            "RECON_QUEUE_BUDGET_SECONDS": "86400",
        }
        server = Server(folder / "state", {**settings, "RECON_METRICS_PORT": str(ports[0])}, workers=workers)
        rig = Rig(server, folder, ports)
        stack.callback(server.stop)
        made = server.command(
            "keys", "create", "load", "--scope", "enroll", "--scope", "verify", "--scope", "ops"
        )
        rig.key = made.stdout.strip().splitlines()[-1]
        server.start_api()
        for worker, port in zip(server.crew, ports[1:], strict=True):
            server.settings = {**settings, "RECON_METRICS_PORT": str(port)}
            worker.start()
        wait_for_workers(rig, server.crew)
        yield rig


def wait_for_workers(rig: Rig, crew: list[Worker]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if all("recon_build" in rig.numbers(port) for port in rig.ports):
                return
        time.sleep(0.2)
    raise SystemExit(f"the workers do not answer: {rig.server.log.read_text()[-2000:]}")


@dataclass(frozen=True)
class Load:
    """Users of one kind. rate: requests per second of all of them together; 0: each as fast as answered."""

    kind: str
    rate: float
    users: int


def run(
    rig: Rig, loads: list[Load], seconds: float, *, host: str = "", batch: bool = False
) -> list[dict[str, Any]]:
    """Every answer of these users within the time."""
    results = rig.folder / f"results-{time.monotonic_ns()}.jsonl"
    processes = []
    for load in loads:
        each = load.rate / load.users if load.rate else 1e6
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LOAD_PEOPLE": str(rig.folder / "people"),
            "LOAD_RESULTS": str(results),
            "LOAD_KEY": rig.key,
            "LOAD_KIOSK_RATE": str(each),
            "LOAD_APP_RATE": str(each),
            "LOAD_RANDOM": "1" if rig.random else "",
            "LOAD_BATCH": "true" if batch and load.kind == "App" else "false",
        }
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "benchmarks/loading/users.py"), load.kind]
        # Begun at this rate they come evenly spread, not all at the beginning of each round.
        spread = load.rate or load.users
        command += ["--headless", "-u", str(load.users), "-r", str(spread), "-t", f"{seconds:.0f}s"]
        command += [
            "--host",
            host or rig.server.url,
            "--stop-timeout",
            "30",
            "--loglevel",
            "ERROR",
            "--only-summary",
        ]
        quiet = (rig.folder / "locust.log").open("ab")
        processes.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=quiet, stderr=quiet))
    for process in processes:
        process.wait(seconds + 180)
    if not results.exists():
        raise SystemExit((rig.folder / "locust.log").read_text()[-3000:])
    return [json.loads(line) for line in results.read_text().splitlines()]


def quantile(values: list[float], share: float) -> float:
    """The smallest that at least this share does not exceed."""
    ordered = sorted(values)
    return (
        ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))] if ordered else math.nan
    )


def told(lines: list[dict[str, Any]], name: str) -> dict[str, float]:
    ours = [line for line in lines if line["name"] == name]
    good = [line["ms"] for line in ours if line["good"]]
    begun = min((line["at"] for line in ours), default=0.0)
    span = max((line["at"] + line["ms"] / 1000 for line in ours), default=0.0) - begun
    return {
        "answers": len(ours),
        "failed": len(ours) - len(good),
        "per_second": round(len(good) / span, 2) if span else 0.0,
        **{f"p{round(100 * q)}": round(quantile(good, q), 1) for q in (0.5, 0.95, 0.99)},
    }


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


KIOSKS = Load("Kiosk", VERIFICATIONS, 10)
APPS = Load("App", ENROLLMENTS, 4)


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
    """The lane for batches is never empty while kiosks verify."""
    stop = threading.Event()

    def feed() -> None:
        while not stop.is_set():
            if rig.waiting("batch") < BATCH_AHEAD:
                run(rig, [Load("App", 0, 4)], 2, batch=True)
            stop.wait(1)

    run(rig, [Load("App", 0, 4)], 2, batch=True)
    feeder, before = threading.Thread(target=feed), rig.ended()
    feeder.start()
    lines = run(rig, [KIOSKS], seconds)
    done, empty = rig.ended() - before, rig.waiting("batch") == 0
    stop.set()
    feeder.join()
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


def peer(rig: Rig, seconds: float) -> dict[str, Any]:
    """In an environment of its own, since it needs an older setuptools."""
    home = CACHE / "face-recognition"
    python = home / "bin/python"
    if not (home / "ready").exists():
        console.print("making the peer's environment …")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PEER_NEEDS], check=True, capture_output=True)
        subprocess.run([*pip, "--no-deps", "face_recognition"], check=True, capture_output=True)
        (home / "ready").touch()
    port = free_port()
    process = subprocess.Popen([str(python), str(PEER), str(port)], stdout=subprocess.DEVNULL)
    host = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{host}/livez").status_code == 200:
                    break
            time.sleep(0.1)
        before = psutil.Process(process.pid).cpu_times()
        lines = run(rig, [Load("PeerApp", 0, 4)], seconds, host=host)
        after = psutil.Process(process.pid).cpu_times()
    finally:
        process.kill()
        process.wait()
    result: dict[str, Any] = {"enrollment": told(lines, "peer")}
    spent = after.user + after.system - before.user - before.system
    result["processor_ms"] = {"peer": round(1000 * spent / max(1, result["enrollment"]["answers"]), 1)}
    return result


def drain(rig: Rig, limit_s: float = 900) -> None:
    """Until nothing waits or runs."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        seen = rig.numbers(rig.ports[0])
        lanes = ("interactive", "batch")
        if not any(seen[f"recon_queue_{what}:{lane}"] for what in ("waiting", "running") for lane in lanes):
            return
        time.sleep(0.5)
    raise SystemExit("the queue does not drain")


def show(results: dict[str, Any]) -> None:
    table = Table(
        "phase", "request", "answers", "failed", "per s", "p50 ms", "p95 ms", "p99 ms", title="load"
    )
    for phase, result in results.items():
        for name, row in result.items():
            if isinstance(row, dict) and "p95" in row:
                values = (row[k] for k in ("answers", "failed", "per_second", "p50", "p95", "p99"))
                table.add_row(phase, name, *(str(v) for v in values))
    Console().print(table)
    print(json.dumps({"summary": summary(results)}))


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """The figures with aims."""
    said: dict[str, Any] = {}
    if "idle" in results:
        said["verification_p95_ms"] = results["idle"]["verification"]["p95"]
    if "mix" in results:
        said["enrollment_acknowledged_p95_ms"] = results["mix"]["enrollment"]["p95"]
        said["verification_p95_ms_beside_enrollments"] = results["mix"]["verification"]["p95"]
    if "idle" in results and "batch" in results:
        beside = results["batch"]["verification"]["p95"]
        said["fairness"] = round(beside / results["idle"]["verification"]["p95"], 2)
    for phase in ("idle", "capacity", "peer"):
        if phase in results:
            said[f"processor_ms_{phase}"] = results[phase]["processor_ms"]
    if "capacity" in results:
        said["enrollments_completed_per_second"] = results["capacity"]["completed_per_second"]
        said["enrollments_acknowledged_per_second"] = results["capacity"]["enrollment"]["per_second"]
    if "peer" in results:
        said["peer_enrollments_per_second"] = results["peer"]["enrollment"]["per_second"]
        if "capacity" in results:
            said["times_the_peer_completed"] = round(
                said["enrollments_completed_per_second"] / max(said["peer_enrollments_per_second"], 0.01), 2
            )
            said["times_the_peer_acknowledged"] = round(
                said["enrollments_acknowledged_per_second"] / max(said["peer_enrollments_per_second"], 0.01),
                2,
            )
    if "soak" in results:
        said["memory"] = results["soak"]["memory"]
    return said


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
                results[phase] = globals()[phase](rig, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(results)
    if wanted.out:
        machine = {
            "machine": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
        }
        wanted.out.write_text(json.dumps({**machine, "workers": wanted.workers, **results}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
