"""The threads of relay and sweeper, on real stores."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from recon_service.application.enrolling import consents
from recon_service.application.enrolling.consents import ConsentPolicy
from recon_service.application.enrolling.enrollment_runs import JobPolicy
from recon_service.application.enrolling.operations import get_operation, list_dead
from recon_service.application.housekeeping import Retention, Swept
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.operations import Operation, OperationState
from recon_service.domain.errors import StorageFault
from tests.stacks import Embedded, settings_for
from tests.unit.application.enrollments_support import ask, run
from tests.unit.application.stores import open_in
from worker import housekeeper
from worker.app import make_app
from worker.housekeeper import Housekeeper
from worker.queue import CeleryQueue

PATIENCE_S = 10.0
TEN_MINUTES = timedelta(minutes=10)


def keeper_of(stores: Stores, folder: Path, retention: Retention) -> Housekeeper:
    queue = CeleryQueue(make_app(settings_for(Embedded(), folder)))
    return Housekeeper(stores, queue, JobPolicy(), sweep_s=0.02, retention=retention)


def wait_until_queued(operation_id: str, stores: Stores) -> Operation:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        operation = get_operation(operation_id, on=stores)
        if operation.state is OperationState.QUEUED:
            return operation
        time.sleep(0.02)
    raise AssertionError("nobody took it up")


def test_jobs_go_on_where_the_object_store_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy of the bucket that forgets ListBucket: deletions after a restore wait for it, nothing else."""
    opened = open_in(tmp_path, Embedded())
    stores = opened.stores
    silent, dead = ask(stores), ask(stores, subject="bob")
    long_ago = utc_now() - TEN_MINUTES
    with stores.database.transaction() as tx:
        tx.operations.claim(silent, token="t", now=long_ago, stale_before=long_ago)
        claim = tx.operations.claim(dead, token="u", now=long_ago, stale_before=long_ago)
        assert claim is not None
        tx.operations.finish(claim, state=OperationState.FAILED, now=long_ago, dead=True)

    def refused(_prefix: str = "") -> list[str]:
        raise StorageFault("the object store refuses the service (AccessDenied)")

    monkeypatch.setattr(stores.objects, "list_keys", refused)
    keeper = keeper_of(stores, tmp_path, Retention(dead=timedelta(minutes=1)))
    keeper.start()
    assert wait_until_queued(silent, stores).attempts == 1
    keeper.stop()
    assert len(list_dead(on=stores)) == 1, "a clock is not believed at once"
    opened.close()


def test_a_subject_that_cannot_be_destroyed_casts_no_doubt_on_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing that is retired, given up or seen long ago would go any more."""
    opened = open_in(tmp_path, Embedded())
    stores = opened.stores
    soon = utc_now() + timedelta(seconds=0.2)
    run(stores, ask(stores, subject="ada", consent_expires_at=soon))

    def fail(*_: object, **__: object) -> None:
        raise StorageFault("a row that cannot be read")

    monkeypatch.setattr(consents, "erase_subject", fail)
    swept: list[bool] = []

    def sweeping(*_: object, clock_believed: bool, **__: object) -> Swept:
        swept.append(clock_believed)
        return Swept()

    monkeypatch.setattr(housekeeper, "sweep", sweeping)
    keeper = keeper_of(stores, tmp_path, Retention(consent=ConsentPolicy(hold=timedelta(0))))
    keeper.start()
    deadline = time.monotonic() + PATIENCE_S
    while swept[-3:] != [True] * 3 and time.monotonic() < deadline:
        if utc_now() < soon:
            swept.clear()
        time.sleep(0.02)
    keeper.stop()
    opened.close()
    assert swept[-3:] == [True] * 3
