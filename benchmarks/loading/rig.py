"""The service under load: an API process and workers on servers of their own, and what is read from them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.running import Server
from tests.servers.postgres import Postgres
from tests.servers.processes import free_port
from tests.servers.redis_server import Redis
from tests.servers.s3_server import ACCESS_KEY, S3, SECRET_KEY
from tests.stacks import MASTER_KEY


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
        wait_for_workers(rig)
        yield rig


def wait_for_workers(rig: Rig) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if all("recon_build" in rig.numbers(port) for port in rig.ports):
                return
        time.sleep(0.2)
    raise SystemExit(f"the workers do not answer: {rig.server.log.read_text()[-2000:]}")


def drain(rig: Rig, limit_s: float = 900) -> None:
    """Until nothing waits or runs."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        seen = rig.numbers(rig.ports[0])
        lanes = ("interactive", "batch")
        if not any(seen[f"recon_queue_{what}:{lane}"] for what in ("waiting", "running") for lane in lanes):
            return
        time.sleep(1.0)
    raise SystemExit("the queue does not drain")


def settle(rig: Rig, limit_s: float = 120) -> None:
    """Until every process has loaded what it computes with: those for batches begin last, and stand back."""
    deadline = time.monotonic() + limit_s
    before = sum(processor_seconds(rig).values())
    while time.monotonic() < deadline:
        time.sleep(2.0)
        now = sum(processor_seconds(rig).values())
        if now - before < 0.2:
            return
        before = now
    raise SystemExit("the service does not come to rest")


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
