"""Beside a batch: clients who ask what is in force and verify, and somebody who looks at the memory."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass, field

import httpx
import psutil

from tests.chaos.batch_audit import BatchReport, Versions
from tests.integration.captures import verify
from tests.integration.running import Server


@dataclass
class Watch:
    """A client and a look at the memory, each in a thread until the block ends. before: what was in force
    at the start. phase: "before" the activation, "between", "after" the rollback. visit: a capture of
    ``person``, and the score that it must always have.
    """

    server: Server
    report: BatchReport
    before: Versions
    person: str
    visit: bytes
    score: float
    seed: int
    phase: str = "before"
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._threads = [threading.Thread(target=f) for f in (self._ask, self._measure)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        chance, names = random.Random(self.seed), sorted(self.before)
        last = 0.0
        while not self.stop.wait(0.1):
            try:
                with self.server.client() as client:
                    self._look(client, chance.choice(names))
                    if time.monotonic() - last > 1.0:
                        last = time.monotonic()
                        self._verify(client)
            except httpx.HTTPError:
                self.report.unanswered += 1

    def _look(self, client: httpx.Client, subject: str) -> None:
        phase = self.phase
        answer = client.get(f"/v1/subjects/{subject}/templates")
        if answer.status_code != 200:
            self.report.unanswered += 1
            return
        former = self.before[subject][0]
        active = [one for one in answer.json()["templates"] if one["state"] == "active"]
        allowed = {one["template_id"] for one in answer.json()["templates"] if one["parent_id"] == former}
        allowed = {former} if phase in ("before", "after") else allowed | {former}
        self.report.listings += 1
        if phase == self.phase and (len(active) != 1 or active[0]["template_id"] not in allowed):
            self.report.wrong += 1

    def _verify(self, client: httpx.Client) -> None:
        answer = verify(client, self.person, self.visit)
        if answer.status_code != 200:
            self.report.unanswered += 1
            return
        self.report.verifications += 1
        score = answer.json()["score"]
        self.report.other_score += score is None or abs(score - self.score) > 1e-3

    def _measure(self) -> None:
        while not self.stop.wait(2.0):
            for kind, resident in resident_by_kind(self.server).items():
                self.report.resident.setdefault(kind, []).append(round(resident / 1e6))


def resident_by_kind(server: Server) -> dict[str, int]:
    """Bytes of the largest process of each kind."""
    parents = [w.process for w in server.crew if w.alive] + ([server.process] if server.process else [])
    found: dict[str, int] = {}
    for parent in parents:
        assert parent is not None
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(parent.pid)
            kind = "api" if parent is server.process else "worker"
            _note(found, kind, root)
            for child in root.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    line = child.cmdline()
                    if "worker.batches" in line:
                        _note(found, "batches", child)
                        for below in child.children():
                            _note(found, "batch-compute", below)
    return found


def _note(found: dict[str, int], kind: str, process: psutil.Process) -> None:
    found[kind] = max(found.get(kind, 0), process.memory_info().rss)
