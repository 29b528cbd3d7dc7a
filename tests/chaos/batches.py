"""`make chaos-batch`: a batch over many subjects while servers and workers are killed, then its activation,
then its rollback, likewise; and at every moment the right template answers.

The last line on the standard output is one line of JSON; the exit status is 0 when every promise was kept.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import sqlalchemy as sa
from rich.progress import Progress

from recon_service.bootstrap import open_stores
from recon_service.storage.engines import open_engine
from tests.chaos import batch_audit as audit
from tests.chaos.batch_audit import BatchReport
from tests.chaos.batch_watching import Watch
from tests.chaos.faults import Faults, Production
from tests.chaos.stage import QUICK, SEED, options, progress_bars, run_and_tell, stage
from tests.integration.captures import depth_of, png16, verify
from tests.integration.running import Server, enroll, portrait_jpeg
from tests.templates import seed_subjects

SETTINGS = {
    **QUICK,
    # The one person who is verified all the time must not be locked out by a cautious calibration.
    "RECON_LOCKOUT_SUBJECT_FAILURES": "0",
    "RECON_LOCKOUT_KEY_FAILURES": "0",
    "RECON_VERIFICATION_SECONDS": "60",
    "RECON_KIOSK_SESSIONS": "optional",
    # What else runs on the machine of a test is nobody to give way to.
    "RECON_BATCH_NICENESS": "0",
    "RECON_ENROLLMENT_NICENESS": "0",
}
PERSON = "verified-all-the-time"
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Wish:
    """How much of everything. kills: at least so many per phase while it lasts. pause: seconds between two,
    on average. pauses: of the batch, spread over its work.
    """

    subjects: int = 20_000
    kills: int = 30
    pause: float = 1.0
    pauses: int = 3
    seed: int = SEED
    limit: float = 1800.0
    settings: tuple[tuple[str, str], ...] = ()


class BatchFaults(Faults):
    """What a batch meets: the broker and the object store take no part in it."""

    def _weights(self) -> dict[str, int]:
        if self.production is None:
            return {"kill_service": 2, "kill_compute_of_service": 1}
        return {"kill_service": 2, "kill_worker": 3, "kill_part_of_worker": 8, "kill_database": 1}


def main() -> int:
    """Run it."""
    parser = options("make chaos-batch", kills=Wish.kills, kills_help="kill -9 in each phase, if it lasts")
    parser.add_argument("--subjects", type=int, default=Wish.subjects)
    given = parser.parse_args()
    wish = Wish(given.subjects, given.kills, given.pause, seed=given.seed, limit=given.limit)
    return run_and_tell("chaos-batch", lambda folder: run(given.stack, folder, wish), lambda _: True)


def run(stack: str, folder: Path, wish: Wish) -> BatchReport:
    """On a stage of its own."""
    with stage(stack, folder, {**SETTINGS, **dict(wish.settings)}) as ready:
        return live_through(ready.server, ready.behind, wish)
    raise AssertionError("unreachable")


def live_through(server: Server, production: Production | None, wish: Wish) -> BatchReport:
    """The whole life of a batch."""
    begun = time.monotonic()
    report = BatchReport("embedded" if production is None else "production", wish.seed, wish.subjects)
    server.start()
    visit, score = _prepare(server, wish)
    engine = open_engine(server.resolved().resolved_database_url)
    before = audit.in_force(engine)
    faults = BatchFaults(server, production, random.Random(wish.seed))
    watch = Watch(server, report, before, PERSON, visit, score, wish.seed)
    with progress_bars() as progress, watch:
        life = _Life(server, engine, faults, wish, report, progress)
        batch_id = life.submit()
        life.work(batch_id, len(before))
        audit.count_ends(engine, batch_id, set(before), report)
        watch.phase = "between"
        life.change(batch_id, "activate", "active")
        made = audit.candidates(engine, batch_id)
        now = audit.in_force(engine)
        report.not_activated = sum(now[subject][0] != candidate for subject, candidate in made.items())
        life.change(batch_id, "rollback", "rolled-back")
        watch.phase = "after"
        report.standings = audit.count_standings(engine, batch_id)
        report.bit_equal = audit.in_force(engine) == before
        time.sleep(1.0)
    engine.dispose()
    report.kills = dict(sorted(faults.counts.items()))
    report.seconds = round(time.monotonic() - begun)
    return report


def _prepare(server: Server, wish: Wish) -> tuple[bytes, float]:
    """One person enrolled by the service, whose template the others' is made like; a capture, and its
    score.
    """
    with server.client() as client:
        assert enroll(client, PERSON, portrait_jpeg("grace_hopper"))["state"] == "succeeded"
        (made,) = client.get(f"/v1/subjects/{PERSON}/templates").json()["templates"]
        visit = png16(depth_of(client, PERSON, yaw=5.0))
        deadline = time.monotonic() + PATIENCE_S
        while (answer := verify(client, PERSON, visit)).status_code != 200:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.5)
        score = float(answer.json()["score"])
    opened = open_stores(server.resolved())
    posterior = _posterior_of(opened.stores)
    names = [f"subject-{number:06}" for number in range(wish.subjects)]
    seed_subjects(opened.stores, names, **posterior, model=made["model"], calibration=made["calibration"])
    opened.close()
    return visit, score


def _posterior_of(stores: object) -> dict[str, object]:
    from recon_service.application.templates.subjects import load_template

    template = load_template(PERSON, None, on=stores)  # type: ignore[arg-type]
    return {"space": template.posterior.space, "modes": len(template.posterior.mean)}


class _Life:
    """The phases of a batch, each with its faults."""

    def __init__(
        self,
        server: Server,
        engine: sa.Engine,
        faults: BatchFaults,
        wish: Wish,
        report: BatchReport,
        progress: Progress,
    ) -> None:
        self._server, self._engine, self._faults = server, engine, faults
        self._wish, self._report, self._progress = wish, report, progress
        self._deadline = time.monotonic() + wish.limit

    def submit(self) -> str:
        wanted = {"selection": {"all": True}, "target": {"materials": ["posterior"]}}
        return str(self._request("POST", "/v1/batches", json=wanted)["batch"]["batch_id"])

    def work(self, batch_id: str, expected: int) -> None:
        """Faults and pauses until every item has its end; then until the batch says so."""
        begun, paused = time.monotonic(), 0.0
        task = self._progress.add_task("items", total=expected)
        pauses = [expected * (n + 1) // (self._wish.pauses + 1) for n in range(self._wish.pauses)]

        def done() -> int:
            with contextlib.suppress(sa.exc.DBAPIError):
                return audit.count_done(self._engine, batch_id)
            return 0

        met = 0
        while (count := done()) < expected and time.monotonic() < self._deadline:
            self._progress.update(task, completed=count)
            if count == met:  # whoever was killed has not begun again: to kill it once more meets no work
                time.sleep(0.05)
                continue
            met = count
            if pauses and count >= pauses[0]:
                pauses.pop(0)
                paused += self._pause(batch_id, done)
            self._fault(self._wish.kills)
        self._report.items_per_second = round(expected / (time.monotonic() - begun - paused), 1)
        self._progress.update(task, completed=count)
        self._until(batch_id, "ready")

    def change(self, batch_id: str, action: str, end: str) -> None:
        """Ask for it, and wait for it among faults."""
        task = self._progress.add_task(action, total=None)
        self._request("POST", f"/v1/batches/{batch_id}:{action}")
        kills = self._faults.kills + self._wish.kills // 3
        while self._state(batch_id) != end and time.monotonic() < self._deadline:
            self._fault(kills)
        self._progress.update(task, completed=1, total=1)

    def _pause(self, batch_id: str, done: Callable[[], int]) -> float:
        """Seconds that it took; how long items still ended goes into the report."""
        self._request("POST", f"/v1/batches/{batch_id}:pause")
        begun = last = time.monotonic()
        count = done()
        while time.monotonic() - begun < 7.0:
            time.sleep(0.1)
            if (now := done()) > count:
                count, last = now, time.monotonic()
        self._report.pauses.append(round(last - begun, 2))
        self._request("POST", f"/v1/batches/{batch_id}:resume")
        return time.monotonic() - begun

    def _fault(self, most: int) -> None:
        time.sleep(min(self._faults.random.expovariate(1.0 / self._wish.pause), 3 * self._wish.pause))
        if self._faults.kills < most:
            self._faults.one()

    def _state(self, batch_id: str) -> str:
        return str(self._request("GET", f"/v1/batches/{batch_id}")["state"])

    def _until(self, batch_id: str, state: str) -> None:
        while self._state(batch_id) != state and time.monotonic() < self._deadline:
            time.sleep(0.2)

    def _request(self, method: str, path: str, **arguments: object) -> dict[str, object] | object:
        """Repeated until it is answered: every request of a batch may be."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(httpx.HTTPError), self._server.client() as client:
                answer = client.request(method, path, **arguments)  # type: ignore[arg-type]
                if answer.status_code < 400:
                    return answer.json()
                if answer.status_code < 500:
                    raise AssertionError(f"{method} {path}: {answer.text}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{method} {path} was not answered")
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
