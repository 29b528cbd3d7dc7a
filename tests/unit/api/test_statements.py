"""What a request costs the database: so many statements in so many transactions, whatever it brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import event

from recon_service.api.service import Service
from recon_service.application.enrolling import operations
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.records.access import Scope
from recon_service.storage.database import SqlDatabase
from tests.stacks import Stack
from tests.unit.api.conftest import authorization, make_service
from tests.unit.api.test_kiosk_sessions import Kiosk, frames
from tests.unit.application.stores import ListQueue, ScriptedCompute

COSTS = {
    "verification": (21, 5),
    "enrollment": (14, 3),
    "look at an operation": (2, 2),
    "run of an enrollment": (27, 5),
}


@dataclass
class Seen:
    """Without what happens now and then, and not because of a request."""

    statements: list[str] = field(default_factory=list)
    transactions: int = 0
    _open: set[int] = field(default_factory=set)

    def sent(self, connection: object, _cursor: object, statement: str, *_: object) -> None:
        if (
            not statement.startswith(("BEGIN", "SELECT clock_timestamp"))
            and "request_counters" not in statement
        ):
            self.statements.append(" ".join(statement.split()))
            self._open.add(id(connection))

    def committed(self, connection: object) -> None:
        self.transactions += id(connection) in self._open
        self._open.discard(id(connection))


@contextmanager
def watched(service: Service) -> Iterator[Seen]:
    database, seen = service.stores.database, Seen()
    assert isinstance(database, SqlDatabase)
    heard = (("before_cursor_execute", seen.sent), ("commit", seen.committed))
    for name, hears in heard:
        event.listen(database.engine, name, hears)
    try:
        yield seen
    finally:
        for name, hears in heard:
            event.remove(database.engine, name, hears)


@pytest.fixture
def kiosk(tmp_path: Path, stack: Stack) -> Iterator[Kiosk]:
    for service in make_service(tmp_path, stack):
        made = Kiosk(service)
        made.visit("genuine")  # what only the first request does is done
        yield made


def cost(kiosk: Kiosk, do: Callable[[], object]) -> tuple[int, int]:
    """Statements, and transactions."""
    with watched(kiosk.service) as seen:
        do()
    return len(seen.statements), seen.transactions


def test_a_verification_costs_the_same_however_many_frames_it_brings(kiosk: Kiosk) -> None:
    few, many = frames("genuine"), tuple(f for _ in range(4) for f in frames("genuine"))
    visits = [kiosk.request(kiosk.open(), shown) for shown in (few, many)]
    costs = [cost(kiosk, lambda one=one: kiosk.send(one)) for one in visits]
    assert costs == [COSTS["verification"]] * 2


def test_an_enrollment_costs_the_same_however_many_selfies_it_brings(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "PROGRESS_INTERVAL_S", 600.0)  # a slow machine would show signs of life
    client, stores = kiosk.client, kiosk.service.stores
    keys = authorization(stores, Scope.ENROLL)

    def enroll(subject: str, selfies: int = 1) -> str:
        files = [("selfies", (f"{n}.jpg", b"x", "image/jpeg")) for n in range(selfies)]
        path, said = f"/v1/subjects/{subject}/enrollments", {"consent_id": "c"}
        answer = client.post(path, files=files, data=said, headers=keys)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["operation_id"])

    enroll("first")
    costs = [cost(kiosk, lambda n=n: enroll(f"s{n}", n)) for n in (1, 4)]
    assert costs == [COSTS["enrollment"]] * 2
    operation = enroll("last")
    look = cost(kiosk, lambda: client.get(f"/v1/operations/{operation}", headers=keys))
    assert look == COSTS["look at an operation"]

    def run() -> None:
        run_enrollment(operation, on=stores, compute=ScriptedCompute(), queue=ListQueue(), policy=JobPolicy())

    assert cost(kiosk, run) == COSTS["run of an enrollment"]
