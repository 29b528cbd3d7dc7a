"""What the index in memory does besides what every index does: loading, and a database that was put back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from recon_service.application.errors import StorageUnavailable
from recon_service.application.searching.reference_feed import (
    ReferenceChange,
    ReferenceFeed,
    ReferencesNotReady,
)
from recon_service.application.templates.subjects import delete_subject
from recon_service.bootstrap import OpenStores
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.search.memory_index import MOST_SIDES, MemoryIndex
from tests.contract.reference_indices import ANY, CALIBRATION, names
from tests.integration.running import eventually
from tests.references import MODES, enroll, probe, strengthen, with_general_pairs
from tests.stacks import Stack
from tests.unit.application.stores import open_in

ONE = np.ones(MODES)


@pytest.fixture
def opened(tmp_path: Path, stack: Stack) -> Iterator[OpenStores]:
    made = open_in(tmp_path, stack)
    yield made
    made.close()


class Held(ReferenceFeed):
    """Waits to be let go before it reads everything; may fail first."""

    def __init__(self, opened: OpenStores) -> None:
        super().__init__(opened.stores, CALIBRATION)
        self.go, self.fault = threading.Event(), False

    def since(self, sequence: int | None, *, last: str = "") -> Iterator[ReferenceChange]:
        if sequence is None:
            self.go.wait(30)
            if self.fault:
                raise StorageUnavailable("the database does not answer")
        yield from super().since(sequence, last=last)


def test_who_asks_while_it_loads_is_told_so_and_does_not_wait(opened: OpenStores) -> None:
    """Also where nobody has started it, and where a database that was away had ended the first try."""
    enroll("ada", ONE, opened.stores)
    index = MemoryIndex(opened.stores, CALIBRATION, patience_s=0.05)
    index._feed = feed = Held(opened)
    for _ in range(3):
        with pytest.raises(ReferencesNotReady):
            index.search(probe(ONE), count=1, least_llr=ANY)
        with pytest.raises(ReferencesNotReady):
            index.check()
    feed.fault = True
    feed.go.set()

    def answers() -> bool:
        try:
            return names(index, opened.stores, ONE) == ["ada"]
        except ReferencesNotReady:
            return False

    def says_why() -> bool:
        with pytest.raises(StorageUnavailable) as caught:
            index.search(probe(ONE), count=1, least_llr=ANY)
        return not isinstance(caught.value, ReferencesNotReady)

    assert eventually(says_why)
    feed.fault = False
    assert eventually(answers)


def test_it_is_closed_in_the_middle_of_loading(opened: OpenStores) -> None:
    """A million references take minutes, which a process that stops is not given."""
    begun = threading.Event()

    class Endless(ReferenceFeed):
        def since(self, sequence: int | None, *, last: str = "") -> Iterator[ReferenceChange]:
            yield ReferenceChange((), (), 0, fresh=True, complete=False)
            while True:
                begun.set()
                yield ReferenceChange((), (), 0, complete=False)

    index = MemoryIndex(opened.stores, CALIBRATION)
    index._feed = Endless(opened.stores, CALIBRATION)
    index.start()
    assert begun.wait(10)
    index.close()
    assert index._loader is not None
    index._loader.join(10)
    assert not index._loader.is_alive()


def test_a_database_that_was_put_back_is_read_again(opened: OpenStores) -> None:
    """A standby that lacked the last commits takes over: it gives their numbers to others."""
    stores, engine = opened.stores, opened.database.engine
    enroll("ada", ONE, stores)
    with stores.database.snapshot() as tx:
        before = tx.references.head()
    enroll("bob", -ONE, stores)
    index = MemoryIndex(stores, CALIBRATION)
    assert sorted(names(index, stores, ONE)) == ["ada", "bob"]
    with stores.database.snapshot() as tx:
        seen = tx.references.head()
    delete_subject("bob", on=stores)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM reference_changes WHERE sequence > :n"), {"n": before})
        connection.execute(sa.text("UPDATE reference_head SET sequence = :n"), {"n": before})
    assert names(index, stores, ONE) == ["ada"]
    assert index.search(probe(ONE), count=9, least_llr=ANY).searched == 1
    with engine.begin() as connection:
        index._sequence, index._last = seen, "tpl_of_bob"  # who has not asked since
    enroll("eve", 0 * ONE, stores)
    with stores.database.snapshot() as tx:
        assert tx.references.head() == seen, "the number that bob had"
    assert sorted(names(index, stores, ONE)) == ["ada", "eve"]


def test_vectors_are_kept_for_so_many_kinds_of_probes(opened: OpenStores) -> None:
    """Those that were searched last; who comes back finds the same."""
    calibration = with_general_pairs(CALIBRATION)
    enroll("ada", ONE, opened.stores)
    cameras = [f"kiosk-{n}" for n in range(MOST_SIDES + 3)]
    for camera in cameras:
        strengthen("ada", ONE, opened.stores, source=f"depth/{camera}")
    index = MemoryIndex(opened.stores, calibration)
    kinds = [EvidenceKind("depth", camera, 1) for camera in cameras]
    ratios = [index.search(probe(ONE, kind), count=1, least_llr=ANY).hits for kind in kinds]
    assert len(index._sides) == MOST_SIDES
    assert [index.search(probe(ONE, kind), count=1, least_llr=ANY).hits for kind in kinds] == ratios
