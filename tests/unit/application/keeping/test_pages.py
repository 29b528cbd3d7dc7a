"""What piled up is forgotten in pages, each of them for good."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recon_service.application.keeping import pages
from recon_service.application.keeping.pages import in_pages
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import FailureKind
from recon_service.domain.errors import StorageFault

FAR_AHEAD = datetime(9999, 1, 1, tzinfo=UTC)


def counters(stores: Stores) -> int:
    with stores.database.transaction() as tx:
        return tx.limits.forget(before=FAR_AHEAD, limit=1000)


def put(stores: Stores, count: int) -> None:
    with stores.database.transaction() as tx:
        for n in range(count):
            tx.limits.failures(FailureKind.SUBJECT, str(n), now=stores.clock())


def forget(tx: Transaction, limit: int) -> int:
    return tx.limits.forget(before=FAR_AHEAD, limit=limit)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ROWS", 3)
    monkeypatch.setattr(pages, "PAGES", 3)


@pytest.mark.parametrize(("there", "left"), [(0, 0), (2, 0), (3, 0), (7, 0), (9, 0), (13, 4)])
def test_all_goes_page_by_page_and_not_for_ever(there: int, left: int, stores: Stores) -> None:
    put(stores, there)
    assert in_pages(forget, on=stores) == there - left
    assert counters(stores) == left


def test_what_went_before_a_fault_is_gone(stores: Stores) -> None:
    put(stores, 9)
    calls = []

    def faulty(tx: Transaction, limit: int) -> int:
        calls.append(limit)
        gone = forget(tx, limit)
        if len(calls) == 2:
            raise StorageFault("the database failed")
        return gone

    with pytest.raises(StorageFault):
        in_pages(faulty, on=stores)
    assert counters(stores) == 6
