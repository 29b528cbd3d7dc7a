"""What the clients were promised while everything went wrong."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import httpx
import sqlalchemy as sa

from recon_service.storage import tables as t
from tests.integration.running import ENDED, Server, selfies

PATIENCE_S = 60.0
DELETED_OF = 6
"""Every so-manieth subject is deleted as soon as it is acknowledged, in the middle of its enrollment."""


@dataclass
class Ledger:
    """By subject: acknowledged is what a client saw a 202 for; deleted, what it saw a receipt for, or that
    there is nobody any more; unanswered, what it asked for in vain. ends: by operation, the final state
    that a client saw first; changed: how often another one, or none, was seen later.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    ends: dict[str, str] = field(default_factory=dict)
    changed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def kept(self) -> dict[str, str]:
        """Acknowledged subjects that must be there."""
        gone = self.deleted | self.unanswered
        return {subject: place for subject, place in self.acknowledged.items() if subject not in gone}


@dataclass(frozen=True)
class Report:
    """The last line. lost: acknowledged and not ended, or in the database and not ended; twice: subjects
    with more than one operation or template, an end without the template that it speaks of, or with more
    than one entry in the audit log; orphans: objects, rows and names without the other half; back: deleted
    subjects of whom something is there; changed: final states that became others; unreadable: templates in
    force that do not open; log_intact: the audit log's chain; quiet: nothing waited or worked at the end.
    """

    acknowledged: int
    lost: int
    twice: int
    orphans: int
    kills: int
    other_faults: int
    deleted: int
    back: int
    changed: int
    unreadable: int
    log_intact: bool
    quiet: bool
    ends: dict[str, int]
    attempts: dict[str, int]
    seconds: int
    stack: str
    seed: int

    @property
    def good(self) -> bool:
        broken = self.lost or self.twice or self.orphans or self.back or self.changed or self.unreadable
        return not broken and self.log_intact and self.quiet

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def keep_enrolling(
    server: Server, name: str, pictures: Sequence[bytes], stop: threading.Event, ledger: Ledger
) -> None:
    """One client: enrolls one subject after the other, deletes some, and repeats a request until it is
    answered.
    """
    number = 0
    while not stop.is_set():
        subject = f"{name}-{number}"
        number += 1
        with ledger.lock:
            ledger.unanswered.add(subject)
        location = _enroll(server, subject, pictures, stop)
        if not location:
            continue
        with ledger.lock:
            ledger.acknowledged[subject] = location
            if number % DELETED_OF:
                ledger.unanswered.discard(subject)
        if number % DELETED_OF == 0 and _delete(server, subject, stop):
            with ledger.lock:
                ledger.unanswered.discard(subject)
                ledger.deleted.add(subject)


def keep_watching(server: Server, stop: threading.Event, ledger: Ledger, seed: int) -> None:
    """Another client: looks again and again at enrollments that nobody deletes."""
    chance = random.Random(seed)
    while not stop.wait(0.1):
        with ledger.lock:
            known = sorted(ledger.kept.values())
        if not known:
            continue
        location = chance.choice(known)
        try:
            with server.client() as client:
                answer = client.get(location)
        except httpx.HTTPError:
            continue
        if answer.status_code not in (200, 404):
            continue
        state = str(answer.json()["state"]) if answer.status_code == 200 else "gone"
        before = ledger.ends.get(location)
        if before is None and state in ENDED:
            ledger.ends[location] = state
        elif state == "gone" or (before is not None and state != before):
            ledger.changed += 1


def _enroll(server: Server, subject: str, pictures: Sequence[bytes], stop: threading.Event) -> str | None:
    def ask(client: httpx.Client) -> httpx.Response:
        return client.post(
            f"/v1/subjects/{subject}/enrollments",
            files=selfies(*pictures),
            data={"consent_id": "consent-1"},
            headers={"Idempotency-Key": subject},
        )

    answer = _answered(server, ask, {202}, stop)
    return str(answer.headers["location"]) if answer is not None else None


def _delete(server: Server, subject: str, stop: threading.Event) -> bool:
    # 404: the request before was carried out, and its answer did not arrive.
    return (
        _answered(server, lambda client: client.delete(f"/v1/subjects/{subject}"), {200, 404}, stop)
        is not None
    )


def _answered(
    server: Server,
    ask: Callable[[httpx.Client], httpx.Response],
    wanted: set[int],
    stop: threading.Event,
) -> httpx.Response | None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with server.client() as client:
                answer = ask(client)
            if answer.status_code in wanted:
                return answer
        except httpx.HTTPError:
            pass
        if stop.wait(0.2):
            return None
    return None


def wait_until_quiet(engine: sa.Engine, *, limit_s: float, tell: Callable[[int], None]) -> bool:
    """Until nothing waits or works, and no object is to be deleted any more; whether that came. limit_s: of
    standing still, for how much there is to do is the clients' choice.
    """
    deadline, least = time.monotonic() + limit_s, float("inf")
    unfinished = sa.select(sa.func.count()).where(t.operations.c.state.in_(("queued", "running")))
    while time.monotonic() < deadline:
        with contextlib.suppress(sa.exc.DBAPIError), engine.connect() as connection:
            still_open = connection.scalar(unfinished) or 0
            loose = connection.scalar(sa.select(sa.func.count()).select_from(t.loose_objects)) or 0
            tell(still_open)
            if still_open + loose < least:
                deadline, least = time.monotonic() + limit_s, still_open + loose
            if not least:
                return True
        time.sleep(0.5)
    return False
