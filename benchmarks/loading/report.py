"""What the phases found, as a table and as the figures with aims."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table


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
