"""People who send requests: locust as processes of their own, and what their answers say."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.loading.rig import Rig

ROOT = Path(__file__).resolve().parent.parent.parent


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
            "LOAD_USERS": str(load.users),
            "LOAD_KIOSK_RATE": str(each),
            "LOAD_APP_RATE": str(each),
            "LOAD_RANDOM": "1" if rig.random else "",
            "LOAD_BATCH": "true" if batch and load.kind == "App" else "false",
        }
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "benchmarks/loading/users.py"), load.kind]
        command += ["--headless", "-u", str(load.users), "-r", str(load.users), "-t", f"{seconds:.0f}s"]
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
