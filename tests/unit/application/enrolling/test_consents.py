"""Retention by consent, on real stores: what goes, when, and that no clock makes it go early."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recon_service.application.enrolling import consents
from recon_service.application.enrolling.consents import (
    ConsentPolicy,
    ConsentsSwept,
    current_consent,
    ending_consents,
    renew_consent,
    sweep_consents,
)
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.keeping.audit import verify_audit
from recon_service.application.keeping.steady_clock import ClockWatch
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.application.templates.subjects import list_templates, subject_version
from recon_service.domain.errors import InvalidValue, NotFound, StorageFault
from tests.stacks import Stack
from tests.unit.application.stores import OUTCOME, ListQueue, ScriptedCompute, object_count, open_in

DAY = timedelta(days=1)


class House:
    """A service whose clocks stand still until a test moves them."""

    def __init__(self, stores: Stores) -> None:
        self.offset, self.elapsed = timedelta(0), 0.0
        self.began = datetime.now(UTC)
        self.on = dataclasses.replace(stores, clock=lambda: self.began + self.offset)
        self.queue, self.policy = ListQueue(), ConsentPolicy()
        self.watch = ClockWatch()

    @property
    def now(self) -> datetime:
        return self.on.clock()

    def passes(self, time: timedelta) -> None:
        self.offset += time
        self.elapsed += time.total_seconds()

    def jumps(self, by: timedelta) -> None:
        self.offset += by

    def enroll(
        self,
        subject: str,
        *,
        until: timedelta | None = None,
        keep: bool = False,
        run: bool = True,
        good: bool = True,
    ) -> str:
        end = self.now + until if until is not None else None
        wish = EnrollmentRequest(subject, (b"selfie",), "c-1", keep, consent_expires_at=end)
        made = request_enrollment(wish, on=self.on, queue=self.queue).operation.operation_id
        if run:
            self.run(made, good=good)
        return made

    def run(self, operation_id: str, *, good: bool = True) -> None:
        gave = OUTCOME if good else EnrollmentOutcome(OUTCOME.selfies, None)
        compute = ScriptedCompute(lambda _selfies: gave)
        run_enrollment(operation_id, on=self.on, compute=compute, queue=self.queue, policy=JobPolicy())

    def sweep(self) -> ConsentsSwept:
        """The database's clock is the process's here: real ones cannot be moved."""
        on = dataclasses.replace(self.on, database=_Moved(self))  # type: ignore[arg-type]
        return sweep_consents(policy=self.policy, watch=self.watch, monotonic_s=self.elapsed, on=on)

    def sweep_believed(self) -> ConsentsSwept:
        """After the clock has run evenly for a while."""
        self.sweep()
        for _ in range(7):
            self.passes(timedelta(minutes=10))
            swept = self.sweep()
        return swept

    def subjects(self) -> set[str]:
        with self.on.database.snapshot() as tx:
            return {subject for subject, _ in tx.subjects.enrolled_since()}

    def templates(self, subject: str) -> int:
        return len(list_templates(subject, on=self.on))


class _Moved:
    """The database, but for its clock."""

    def __init__(self, house: House) -> None:
        self._house = house

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._house.on.database.transaction() as tx:
            tx.consents.now = lambda: self._house.now  # type: ignore[method-assign]
            yield tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._house.on.database, name)


@pytest.fixture
def house(tmp_path: Path, stack: Stack) -> Iterator[House]:
    opened = open_in(tmp_path, stack)
    yield House(opened.stores)
    opened.close()


def test_a_subject_goes_with_its_consent_and_nobody_else(house: House) -> None:
    house.enroll("ada", until=2 * DAY, keep=True)
    house.enroll("bob", until=9 * DAY)
    house.enroll("cleo")
    assert object_count(house.on) == 1
    house.passes(2 * DAY - timedelta(hours=3))
    assert house.sweep_believed() == ConsentsSwept()
    house.passes(timedelta(hours=3))
    assert house.sweep() == ConsentsSwept(subjects=1)
    assert house.subjects() == {"bob", "cleo"}
    assert object_count(house.on) == 0
    with house.on.database.snapshot() as tx:
        (entry,) = tx.audit.entries(action="subject.deleted")
        assert (entry.actor, entry.outcome) == ("service", "consent-ended")
        receipt = tx.receipts.get(entry.object_id)
    assert receipt is not None
    (tombstone,) = house.on.objects.list_keys("tombstones/")
    assert receipt.receipt_id in tombstone, "a restore cannot bring it back"
    assert verify_audit(on=house.on).broken is None


def test_a_newer_consent_counts_and_the_older_takes_what_was_its_own(house: House) -> None:
    house.enroll("ada", until=DAY, keep=True)
    house.passes(timedelta(hours=1))
    house.enroll("ada", until=9 * DAY, keep=True)
    assert (house.templates("ada"), object_count(house.on)) == (2, 2)
    seen = subject_version("ada", on=house.on)
    house.passes(2 * DAY)
    house.sweep_believed()
    assert (house.templates("ada"), object_count(house.on)) == (1, 1)
    assert subject_version("ada", on=house.on) != seen, "what was seen is not what is there"
    (active,) = list_templates("ada", on=house.on)
    assert active.state.value == "active"
    with house.on.database.snapshot() as tx:
        (entry,) = tx.audit.entries(action="consent.ended")
    assert entry.outcome == "selfies 1 templates 1"
    house.passes(8 * DAY)
    house.sweep_believed()
    assert house.subjects() == set()


def test_a_renewed_consent_keeps_all_and_an_earlier_end_holds(house: House) -> None:
    house.enroll("ada", until=DAY, keep=True)
    house.enroll("bob", until=9 * DAY)
    house.passes(timedelta(hours=1))
    renew_consent("ada", "c-2", house.now + 9 * DAY, actor="key", on=house.on)
    renew_consent("bob", "c-2", house.now + DAY, actor="key", on=house.on)
    house.passes(2 * DAY)
    house.sweep_believed()
    assert house.subjects() == {"ada"}
    assert house.templates("ada") == 1
    consent, end = current_consent("ada", policy=house.policy, on=house.on)
    assert (consent.consent_id, end) == ("c-2", consent.expires_at)
    for bad in (house.now - DAY, datetime(2999, 1, 1)):
        with pytest.raises(InvalidValue):
            renew_consent("ada", "c-3", bad, actor="key", on=house.on)
    with pytest.raises(NotFound):
        renew_consent("bob", "c-3", None, actor="key", on=house.on)


def test_an_enrollment_that_gave_nothing_neither_keeps_nor_ends_a_subject(house: House) -> None:
    house.enroll("ada", until=9 * DAY)
    house.enroll("bob", until=DAY)
    house.passes(timedelta(minutes=1))
    house.enroll("ada", until=DAY, good=False)
    house.enroll("bob", until=9 * DAY, good=False)
    house.passes(2 * DAY)
    house.sweep_believed()
    assert house.subjects() == {"ada"}


def test_an_open_enrollment_ends_first(house: House) -> None:
    operation = house.enroll("ada", until=DAY, run=False)
    house.passes(2 * DAY)
    house.sweep_believed()
    assert house.subjects() == {"ada"}
    house.run(operation)
    house.sweep()
    assert house.subjects() == set()


def test_subjects_that_have_to_wait_hold_up_nobody_behind_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consents, "SWEPT_AT_ONCE", 2)
    for subject in ("a-open", "b-open", "c-open", "d-open"):
        house.enroll(subject, until=DAY)
        house.passes(timedelta(minutes=1))
        house.enroll(subject, until=DAY, run=False)
    for subject in ("x", "y", "z"):
        house.enroll(subject, until=DAY)
    house.passes(2 * DAY)
    house.sweep_believed()
    assert house.subjects() == {"a-open", "b-open", "c-open", "d-open"}


def test_a_subject_that_cannot_be_destroyed_holds_up_nobody_behind_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for subject in ("ada", "bob", "cleo"):
        house.enroll(subject, until=DAY)
    house.passes(2 * DAY)
    house.sweep()
    erase = consents.erase_subject

    def faulty(tx: Transaction, subject_id: str, **rest: Any) -> Any:
        if subject_id == "ada":
            raise StorageFault("a row that cannot be read")
        return erase(tx, subject_id, **rest)

    monkeypatch.setattr(consents, "erase_subject", faulty)
    with pytest.raises(StorageFault, match="a row"):
        house.sweep_believed()
    monkeypatch.setattr(consents, "erase_subject", erase)
    assert house.subjects() == {"ada"}, "and it is told"
    house.sweep()
    assert house.subjects() == set()


def test_no_consent_lasts_longer_than_the_setting(house: House) -> None:
    house.policy = ConsentPolicy(longest=5 * DAY)
    house.enroll("ada")
    house.enroll("bob", until=90 * DAY)
    house.enroll("cleo", until=DAY)
    soon = ending_consents(within=5 * DAY + timedelta(seconds=1), policy=house.policy, on=house.on)
    assert [(e.subject_id, e.ends_at - house.now) for e in soon] == [
        ("ada", 5 * DAY),
        ("bob", 5 * DAY),
        ("cleo", DAY),
    ]
    page = ending_consents(within=6 * DAY, policy=house.policy, on=house.on, limit=2)
    rest = ending_consents(
        within=6 * DAY, policy=house.policy, on=house.on, limit=2, after=page[-1].subject_id
    )
    assert [e.subject_id for e in (*page, *rest)] == ["ada", "bob", "cleo"]
    house.passes(5 * DAY + timedelta(minutes=1))
    house.sweep_believed()
    assert house.subjects() == set()


def test_a_consent_that_has_ended_enrolls_nobody(house: House) -> None:
    with pytest.raises(InvalidValue, match="ended"):
        house.enroll("ada", until=-DAY)
    with pytest.raises(InvalidValue, match="time zone"):
        EnrollmentRequest("ada", (b"x",), "c", consent_expires_at=datetime(2999, 1, 1))


# ---- clocks --------------------------------------------------------------------------------


def test_a_clock_that_jumps_ahead_destroys_nothing_before_it_is_put_right(house: House) -> None:
    house.enroll("ada", until=30 * DAY)
    house.sweep_believed()
    house.jumps(300 * DAY)
    for _ in range(40):
        held = house.sweep()
        house.passes(timedelta(minutes=30))
    assert (held.held, held.subjects) == (1, 0)
    assert house.sweep().doubt
    house.jumps(-300 * DAY)
    assert house.sweep() == ConsentsSwept(doubt="it has jumped")
    for _ in range(40):
        house.passes(timedelta(hours=1))
        assert house.sweep().subjects == 0
    assert house.subjects() == {"ada"}


def test_a_start_with_a_wrong_clock_holds_for_a_day(house: House) -> None:
    house.enroll("ada", until=30 * DAY)
    house.sweep()
    house.jumps(40 * DAY)
    house.watch = ClockWatch()  # another process
    for _ in range(24):
        assert house.sweep().subjects == 0
        house.passes(timedelta(hours=1))
    house.sweep()
    assert house.subjects() == set(), "a service that was off for long does destroy in the end"


def test_a_process_whose_clock_differs_from_the_databases_destroys_nothing(house: House) -> None:
    house.enroll("ada", until=30 * DAY)
    house.jumps(40 * DAY)
    watch = ClockWatch(hold=timedelta(0), long_hold=timedelta(0))
    for _ in range(3):
        swept = sweep_consents(policy=house.policy, watch=watch, monotonic_s=house.elapsed, on=house.on)
        assert swept.doubt == "it differs from the clock of the database"
    assert house.subjects() == {"ada"}


def test_processes_that_differ_believe_nobody() -> None:
    right, wrong = ClockWatch(hold=timedelta(0)), ClockWatch(hold=timedelta(0), long_hold=timedelta(hours=24))
    now, ahead = datetime(2026, 1, 1, tzinfo=UTC), 300 * DAY
    noted: datetime | None = now - timedelta(seconds=10)
    beliefs: dict[bool, list[bool]] = {True: [], False: []}
    for second in range(0, 3600, 10):
        for watch, offset in ((right, timedelta(0)), (wrong, ahead)):
            wall = now + timedelta(seconds=second) + offset
            believed = watch.believes(wall, monotonic_s=second, database=wall, noted=noted)
            beliefs[watch is right].append(believed)
            noted = wall
    assert not any(beliefs[False])
    assert not any(beliefs[True][1:])


def test_sweeps_that_come_late_and_small_steps_of_the_clock_are_no_jumps() -> None:
    watch, wall, noted = ClockWatch(hold=timedelta(hours=1)), datetime(2026, 1, 1, tzinfo=UTC), None
    monotonic = 0.0
    for number in range(1000):
        step = 10 if number % 10 else 600
        wall += timedelta(seconds=step + (0.5 if number % 2 else -0.5))
        monotonic += step
        believed = watch.believes(wall, monotonic_s=monotonic, database=wall, noted=noted)
        assert believed == (monotonic >= 3600 + 600)
        noted = wall
