"""How much longer people wait for an enrollment while a batch works: the same service, with and without, in
turns.

    python benchmarks/batches_beside_people.py             six rounds of five enrollments each way

A batch fits kept evidence anew (three pictures of a head each), which keeps its process busy all the time.
In every round some enrollments are timed, one after the other, while the batch is paused, and as many while
it runs; the turns follow each other closely, so that what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import httpx
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recon_service.application.records.evidence import EVIDENCE_PLACE
from recon_service.application.templates.subjects import load_template
from recon_service.bootstrap import open_stores
from tests.integration.running import Server, enroll, portrait_jpeg
from tests.templates import seed_subjects

PERSON = "the-one-who-was-seen"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--enrollments", type=int, default=5, help="each way in every round")
    parser.add_argument("--subjects", type=int, default=3000)
    wanted = parser.parse_args()
    pictures = tuple(portrait_jpeg("astronaut", width) for width in (512, 490, 470))
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "state", {"RECON_LOG_LEVEL": "warning"}).start()
        try:
            with server.client() as client:
                assert enroll(client, PERSON, *pictures, keep_evidence="true")["state"] == "succeeded"
                seed(server, wanted.subjects)
                answer = client.post("/v1/batches", json={"selection": {"all": True}})
                times, done, busy = measured(client, answer.headers["location"], pictures, wanted)
        finally:
            server.stop()
    table = Table(title=f"{wanted.rounds} rounds of {wanted.enrollments} enrollments each way")
    for column in ("batch", "enrollment ms, median", "95th percentile", "ratio", "items/s"):
        table.add_column(column, justify="right")
    idle = median(times["paused"])
    for name, values in times.items():
        values = sorted(values)
        high = values[min(len(values) - 1, round(0.95 * len(values)))]
        rate = f"{done / busy:.1f}" if name == "running" else ""
        table.add_row(
            name, f"{1000 * median(values):.0f}", f"{1000 * high:.0f}", f"{median(values) / idle:.2f}", rate
        )
    Console().print(table)


def measured(
    client: httpx.Client, address: str, pictures: tuple[bytes, ...], wanted: argparse.Namespace
) -> tuple[dict[str, list[float]], int, float]:
    """Seconds of every enrollment each way; items that ended meanwhile, and the seconds that the batch
    ran.
    """
    times: dict[str, list[float]] = {"paused": [], "running": []}
    done, busy, number = 0, 0.0, 0
    while not client.get(address).json()["done"]:
        time.sleep(0.2)  # its models are loaded with the first item
    for _ in range(wanted.rounds):
        for name, change in (("paused", "pause"), ("running", "resume")):
            before = client.post(f"{address}:{change}").raise_for_status().json()["done"]
            time.sleep(1.0)
            begun = time.perf_counter()
            for _ in range(wanted.enrollments):
                number += 1
                asked = time.perf_counter()
                enroll(client, f"somebody-{number}", *pictures)
                times[name].append(time.perf_counter() - asked)
            if name == "running":
                busy += 1.0 + time.perf_counter() - begun
                found = client.get(address).json()
                done += found["done"] - before
                assert found["state"] == "running", "the batch ended too soon: ask for more --subjects"
    return times, done, busy


def seed(server: Server, count: int) -> None:
    """Subjects with a template each, and the evidence of the one person."""
    opened = open_stores(server.resolved())
    stores = opened.stores
    template = load_template(PERSON, None, on=stores)
    names = [f"subject-{number:06}" for number in range(count)]
    posterior = template.posterior
    seed_subjects(
        stores,
        names,
        space=posterior.space,
        modes=len(posterior.mean),
        model=template.model,
        calibration=template.calibration,
    )
    with stores.database.snapshot() as tx:
        key, kept = tx.subjects.key(PERSON), tx.kept_evidence.of(PERSON)
    assert key is not None
    assert kept is not None
    content = stores.vault.cipher(key).open(kept.sealed, place=EVIDENCE_PLACE, row=kept.template_id)
    with stores.database.transaction() as tx:
        for name in names:
            own = tx.subjects.key(name)
            assert own is not None
            sealed = stores.vault.cipher(own).seal(content, place=EVIDENCE_PLACE, row=kept.template_id)
            tx.kept_evidence.put(replace(kept, subject_id=name, sealed=sealed))
    opened.close()


if __name__ == "__main__":
    main()
