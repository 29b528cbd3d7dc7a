"""kill -9 in the middle of enrollments, again and again: what was acknowledged ends, and ends once."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from pathlib import Path

import httpx

from tests.integration.running import Server, portrait_jpeg, selfies, wait_for_end

KILLS = 8
SEED = 20260304


def test_no_crash_loses_or_doubles_an_acknowledged_enrollment(tmp_path: Path) -> None:
    """Acknowledged is what the client saw a 202 for. The moments are random, from before the first request
    is served to after the last enrollment ended.
    """
    random_moment = random.Random(SEED)
    # Every kill costs the enrollment under way an attempt: with 20 in a row, three attempts could be used
    # up by chance.
    server = Server(tmp_path / "state", settings={"RECON_JOB_ATTEMPTS": "100"}).start(ready=False)
    acknowledged: dict[str, str] = {}
    cut_off: list[str] = []
    try:
        for round_number in range(KILLS):
            stop = threading.Event()
            client = threading.Thread(
                target=_keep_enrolling, args=(server, round_number, stop, acknowledged, cut_off)
            )
            client.start()
            time.sleep(random_moment.uniform(0.05, 1.5))
            server.kill()
            stop.set()
            client.join()
            server.start(ready=False)
        assert len(acknowledged) >= KILLS, "the test did not get to its point"
        with server.client() as final:
            ends = {key: wait_for_end(final, location) for key, location in acknowledged.items()}
            assert {e["state"] for e in ends.values()} == {"succeeded"}
            # What was sent but not answered: the client repeats it with its key and meets the same
            # operation, if any.
            for key in cut_off:
                wait_for_end(final, _send(final, key).headers["location"])
            attempts = [e["attempts"] for e in ends.values()]
            assert max(attempts) > 1, "no kill met an enrollment under way"
            _each_subject_once(final, [*acknowledged, *cut_off])
    finally:
        server.stop()
    _database_agrees(tmp_path / "state", subjects=len({*acknowledged, *cut_off}))
    objects = tmp_path / "state" / "objects"
    left = [p.relative_to(objects) for p in objects.rglob("*") if p.is_file()]
    assert {p.parts[0] for p in left} <= {"audit-ends"}, "objects without a row"


def _keep_enrolling(
    server: Server, round_number: int, stop: threading.Event, acknowledged: dict[str, str], cut_off: list[str]
) -> None:
    with server.client() as client:
        for n in range(6):
            if stop.is_set():
                return
            key = f"subject-{round_number}-{n}"
            try:
                acknowledged[key] = _send(client, key).headers["location"]
            except httpx.HTTPError:
                cut_off.append(key)
                return


def _send(client: httpx.Client, key: str) -> httpx.Response:
    answer = client.post(
        f"/v1/subjects/{key}/enrollments",
        files=selfies(portrait_jpeg("astronaut"), portrait_jpeg("astronaut")),
        data={"consent_id": "consent-1"},
        headers={"Idempotency-Key": key},
    )
    assert answer.status_code == 202, answer.text
    return answer


def _each_subject_once(client: httpx.Client, subjects: list[str]) -> None:
    for subject in subjects:
        templates = client.get(f"/v1/subjects/{subject}/templates").raise_for_status().json()["templates"]
        assert len(templates) == 1, subject


def _database_agrees(state: Path, *, subjects: int) -> None:
    with sqlite3.connect(state / "recon.sqlite3") as database:
        states = dict(database.execute("SELECT state, count(*) FROM operations GROUP BY state"))
        (templates,) = database.execute("SELECT count(DISTINCT operation_id) FROM templates").fetchone()
        (rows,) = database.execute("SELECT count(*) FROM templates").fetchone()
        (left,) = database.execute("SELECT count(*) FROM selfies").fetchone()
        (integrity,) = database.execute("PRAGMA integrity_check").fetchone()
    assert states == {"succeeded": subjects}
    assert rows == templates == subjects
    assert (left, integrity) == (0, "ok")
