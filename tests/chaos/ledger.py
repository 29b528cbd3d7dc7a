"""What the clients were promised, and whether it was kept."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import httpx
import sqlalchemy as sa

from recon_service.application.ports.objects import ObjectStore
from recon_service.storage import tables as t
from tests.integration.running import Server, selfies

PATIENCE_S = 60.0


@dataclass
class Ledger:
    """Enrollments by subject: acknowledged is what a client saw a 202 for."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Report:
    """The last line. lost: acknowledged and not ended; twice: subjects with more than one operation or
    template, or an end without the template that it speaks of; orphans: objects, rows and names without the
    other half.
    """

    acknowledged: int
    lost: int
    twice: int
    orphans: int
    kills: int
    other_faults: int
    ends: dict[str, int]
    attempts: dict[str, int]
    seconds: int
    stack: str
    seed: int

    @property
    def good(self) -> bool:
        return not (self.lost or self.twice or self.orphans)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def keep_enrolling(
    server: Server, name: str, pictures: Sequence[bytes], stop: threading.Event, ledger: Ledger
) -> None:
    """One client: enrolls one subject after the other, and repeats a request until it is answered."""
    number = 0
    while not stop.is_set():
        subject = f"{name}-{number}"
        number += 1
        with ledger.lock:
            ledger.unanswered.add(subject)
        location = _enroll(server, subject, pictures, stop)
        if location:
            with ledger.lock:
                ledger.unanswered.discard(subject)
                ledger.acknowledged[subject] = location


def _enroll(server: Server, subject: str, pictures: Sequence[bytes], stop: threading.Event) -> str | None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with server.client() as client:
                answer = client.post(
                    f"/v1/subjects/{subject}/enrollments",
                    files=selfies(*pictures),
                    data={"consent_id": "consent-1"},
                    headers={"Idempotency-Key": subject},
                )
            if answer.status_code == 202:
                return str(answer.headers["location"])
        except httpx.HTTPError:
            pass
        if stop.wait(0.2):
            return None
    return None


def wait_until_quiet(engine: sa.Engine, *, limit_s: float, tell: Callable[[int], None]) -> None:
    """Until nothing waits or works, and no object is to be deleted any more."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            with engine.connect() as connection:
                still_open = connection.scalar(
                    sa.select(sa.func.count()).where(t.operations.c.state.in_(("queued", "running")))
                )
                loose = connection.scalar(sa.select(sa.func.count()).select_from(t.loose_objects))
        except sa.exc.DBAPIError:
            still_open, loose = 1, 1
        tell(int(still_open or 0))
        if not still_open and not loose:
            return
        time.sleep(0.5)


def audit(
    ledger: Ledger, engine: sa.Engine, objects: ObjectStore
) -> tuple[int, int, int, Counter[str], Counter[str]]:
    """(lost, twice, orphans, operations by state, operations by attempts), from database and store."""
    with engine.connect() as connection:
        operations = connection.execute(sa.select(t.operations)).all()
        templates = connection.execute(sa.select(t.templates.c.operation_id, t.templates.c.template_id)).all()
        owned = set(connection.scalars(sa.select(t.selfies.c.object_key)))
        loose = connection.scalar(sa.select(sa.func.count()).select_from(t.loose_objects)) or 0
    by_id = {o.operation_id: o for o in operations}
    per_subject = Counter(o.subject_id for o in operations)
    per_operation = Counter(operation_id for operation_id, _ in templates)
    ended = {"succeeded", "rejected", "failed"}
    lost = 0
    for subject, location in ledger.acknowledged.items():
        row = by_id.get(location.rsplit("/", 1)[-1])
        if row is None or row.subject_id != subject or row.state not in ended:
            lost += 1
    expected = {o.operation_id: o.template_id for o in operations if o.state == "succeeded"}
    twice = sum(n > 1 for n in per_subject.values()) + sum(n > 1 for n in per_operation.values())
    twice += sum(expected.get(operation_id) != template_id for operation_id, template_id in templates)
    twice += sum(operation_id not in per_operation for operation_id in expected)
    # Everything in the store: what is under no name that is known here is an orphan too.
    stored = {key for key in objects.list_keys() if not key.startswith("tombstones/")}
    dead = {o.operation_id for o in operations if o.dead_at is not None}
    kept = {key for key in owned if key.split("/")[1] in dead}
    orphans = len(stored ^ owned) + len(owned - kept) + loose
    states = Counter(o.state for o in operations)
    return lost, twice, orphans, states, Counter(str(o.attempts) for o in operations)
