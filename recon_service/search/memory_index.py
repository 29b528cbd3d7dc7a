"""The index in memory: posterior means in double precision (``memory_slots``), and for every kind of probe
that was searched with the vectors of its bounds (``memory_sides``). Made from the sealed templates when it
is first asked for; nothing of it is ever written.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from recon_service.application.ports.stores import Stores
from recon_service.application.records.references import Hit, SearchProbe, SearchResult
from recon_service.application.searching.compared_versions import comparable
from recon_service.application.searching.reference_feed import (
    ReferenceChange,
    ReferenceFeed,
    ReferencesNotReady,
)
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.search.memory_sides import ProbeSide
from recon_service.search.memory_slots import Slots
from recon_service.search.probe_kinds import searched_as
from recon_service.search.vector_blocks import BLOCK_ROWS

RANK: Final = 44
"""Directions that are kept of 60: with fewer the second step takes longer, with more the first
(docs/identification.md has both).
"""
PATIENCE_S: Final = 2.0
ATTEMPTS: Final = 3
CLOSE_S: Final = 5.0
MOST_SIDES: Final = 16
"""Kinds of probes whose vectors are kept, a fifth of a gigabyte each for a million references; of more, those
that were searched last.
"""
UNREADABLE_S: Final = 60.0
"""What could not be opened is tried again after so long."""


class MemoryIndex:
    """See ``ports.references.ReferenceIndex``."""

    def __init__(
        self,
        on: Stores,
        calibration: Calibration,
        *,
        rank: int = RANK,
        block_rows: int = BLOCK_ROWS,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """patience_s: how long a search waits for others, or for the index to be loaded."""
        self._feed, self._calibration = ReferenceFeed(on, calibration), calibration
        self._rank, self._block_rows = rank, block_rows
        self._patience_s, self._clock = patience_s, clock
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._closed = threading.Event()
        self._loader: threading.Thread | None = None
        self._load_fault: Exception | None = None
        self._sequence: int | None = None
        self._last = ""
        self._again_at = 0.0
        self._clear()

    def start(self) -> None:
        """Load in a thread of its own."""
        self._load()

    def check(self) -> None:
        """Raises ReferencesNotReady while it loads."""
        if self._loader is not None and self._loader.is_alive():
            raise _not_ready("the references are being loaded")

    def search(self, probe: SearchProbe, *, count: int, least_llr: float) -> SearchResult:
        """One search at a time: each takes all the memory's speed that one core can use."""
        self._calibration.require(probe.posterior.space, len(probe.posterior.mean))
        with self._up_to_date():
            side = self._side(probe.kind)
            hits: list[Hit] = []
            scored = 0
            for group in side.groups:
                ranked = side.best(group, probe, count, least_llr)
                scored += ranked.scored
                for row, score in zip(ranked.rows, ranked.scores, strict=True):
                    template_id = self._slots.ids[group.slots[row]]
                    hits.append(Hit(template_id, group.score_map(float(score))))
            everybody = len(self._slots.of_id) + len(self._unfit)
            searched, unreadable = len(side), len(self._unreadable)
        hits.sort(key=lambda hit: (-hit.llr, hit.template_id))
        return SearchResult(tuple(hits[:count]), searched, everybody - searched, scored, unreadable)

    def close(self) -> None:
        """Let go of everything, also in the middle of loading: a process that stops has no minutes for it."""
        self._closed.set()
        if self._lock.acquire(timeout=CLOSE_S):
            self._clear()
            self._sequence = None
            self._lock.release()

    def _side(self, kind: EvidenceKind) -> ProbeSide:
        kind = searched_as(kind, self._calibration, seen=self._slots.sources)
        side = self._sides.pop(kind, None) or ProbeSide(
            kind, self._slots, self._calibration, self._rank, self._block_rows
        )
        self._sides[kind] = side
        while len(self._sides) > MOST_SIDES:
            self._sides.popitem(last=False)
        return side

    @contextmanager
    def _up_to_date(self) -> Iterator[None]:
        """Nobody else is at it, and it holds what was committed. Loading everything is left to the loader:
        who asks meanwhile is told so, and does not wait for minutes.
        """
        deadline = self._clock() + self._patience_s
        for _ in range(ATTEMPTS):
            if self._followed(deadline):
                break
            self._load().join(max(0.0, deadline - self._clock()))
            self.check()
            if self._load_fault is not None:
                raise self._load_fault
        else:
            raise _not_ready("the references change faster than they are loaded")
        try:
            yield
        finally:
            self._lock.release()

    def _followed(self, deadline: float) -> bool:
        """Whether it has followed all changes; then the lock is ours."""
        if not self._lock.acquire(timeout=max(0.0, deadline - self._clock())):
            self.check()
            raise _not_ready("other searches are under way")
        try:
            up_to_date = self._follow(loading=False)
        except BaseException:
            self._lock.release()
            raise
        if not up_to_date:
            self._lock.release()
        return up_to_date

    def _load(self) -> threading.Thread:
        with self._loading:
            if self._loader is None or not self._loader.is_alive():
                self._loader = threading.Thread(target=self._load_all, name="recon-references", daemon=True)
                self._loader.start()
            return self._loader

    def _load_all(self) -> None:
        self._load_fault = None
        try:
            with self._lock:
                self._follow(loading=True)
        except Exception as fault:  # the next search tells, and the one after it tries again
            self._load_fault = fault

    def _follow(self, *, loading: bool) -> bool:
        """False: everything has to be loaded anew, which only the loader does."""
        if self._sequence is None and not loading:
            return False
        for change in self._feed.since(self._sequence, last=self._last):
            if self._closed.is_set():
                raise _not_ready("the service is shutting down")
            if change.fresh and not loading:
                self._sequence = None
                return False
            self._sequence = None  # what breaks off within a change begins anew
            if change.fresh:
                self._clear()
            self._apply(change)
            self._sequence = change.sequence if change.complete else None
            self._last = change.last
        if self._unreadable and self._sequence is not None and self._clock() >= self._again_at:
            change = self._feed.again(sorted(self._unreadable), sequence=self._sequence, last=self._last)
            self._again_at = self._clock() + UNREADABLE_S
            self._apply(change)
        return True

    def _clear(self) -> None:
        self._slots = Slots(self._calibration.modes, self._block_rows)
        self._sides: OrderedDict[EvidenceKind, ProbeSide] = OrderedDict()
        self._unfit: set[str] = set()
        self._unreadable: set[str] = set()
        self._again_at = self._clock() + UNREADABLE_S

    def _apply(self, change: ReferenceChange) -> None:
        for template_id in change.touched:
            self._remove(template_id)
        self._unreadable.update(change.unreadable)
        added = []
        for reference in change.references:
            if comparable(reference.version, self._calibration):
                added.append(self._slots.add(reference, self._calibration))
            else:
                self._unfit.add(reference.template_id)
        for side in self._sides.values():
            side.add(added)

    def _remove(self, template_id: str) -> None:
        self._unfit.discard(template_id)
        self._unreadable.discard(template_id)
        slot = self._slots.of_id.get(template_id)
        if slot is None:
            return
        for side in self._sides.values():
            side.remove(slot)
        self._slots.remove(slot)


def _not_ready(why: str) -> ReferencesNotReady:
    return ReferencesNotReady(why, next_step="Send the request again after the time in Retry-After.")
