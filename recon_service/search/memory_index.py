"""The index in memory: posterior means in double precision, and for every kind of probe that was searched
with the vectors of its bounds. Made from the sealed templates when it is first asked for; nothing of it is
ever written.

Every active template has a slot, a number that stays its own while it is active, for whichever version of
it is compared. For one kind of probe all
references of one kind lie together, since they share a space; which part of a template is compared there is
chosen as in a verification.
"""

from __future__ import annotations

import threading
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np

from recon_service.application.ports.stores import Stores
from recon_service.application.records.references import Hit, SearchProbe, SearchResult
from recon_service.application.searching.compared_versions import ComparedVersion, comparable
from recon_service.application.searching.reference_feed import (
    ReferenceChange,
    ReferenceFeed,
    ReferencesNotReady,
)
from recon_service.comparison.calibration import Calibration, Found
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.strengthening_parts import ReferencePart, best_part, parts_of
from recon_service.domain.arrays import Array
from recon_service.domain.errors import ModelMismatch, StorageFault
from recon_service.search.bounding_space import BoundingSpace
from recon_service.search.exact_search import Ranked, Rows, best_of
from recon_service.search.vector_blocks import BLOCK_ROWS, BlockScan, VectorBlocks

RANK: Final = 44
"""Directions that are kept of 60: with fewer the second step takes longer, with more the first
(docs/identification.md has both).
"""
PATIENCE_S: Final = 2.0
NOWHERE: Final = -1


class _Slots:
    """All references: ids, the mean of the enrollment and its kind, and what else the version that is
    compared consists of.
    """

    def __init__(self, modes: int, block_rows: int) -> None:
        self.means = VectorBlocks(modes, dtype=np.float64, block_rows=block_rows)
        self.ids: list[str] = []
        self.kinds: list[EvidenceKind] = []
        self.of_id: dict[str, int] = {}
        self.more: dict[int, tuple[ReferencePart, ...]] = {}
        self._free: list[int] = []
        self._kinds: dict[EvidenceKind, EvidenceKind] = {}

    def add(self, reference: ComparedVersion, calibration: Calibration) -> int:
        """Its slot."""
        template_id, parts = reference.template_id, parts_of(reference.version, calibration)
        part = parts[-1]
        kind = self._kinds.setdefault(part.kind, part.kind)  # one object, not a million
        if self._free:
            slot = self._free.pop()
            self.means.write(slot, part.posterior.mean)
            self.ids[slot], self.kinds[slot] = template_id, kind
        else:
            slot = len(self.ids)
            self.means.append(part.posterior.mean[None])
            self.ids.append(template_id)
            self.kinds.append(kind)
        self.of_id[template_id] = slot
        if len(parts) > 1:
            self.more[slot] = parts
        return slot

    def remove(self, slot: int) -> None:
        """What was there is overwritten."""
        del self.of_id[self.ids[slot]]
        self.means.write(slot, np.zeros(self.means.dimension))
        self.ids[slot] = ""
        self.more.pop(slot, None)
        self._free.append(slot)


class _Group:
    """The references of one kind, for one kind of probe."""

    def __init__(self, found: Found, rank: int, block_rows: int) -> None:
        self.score_map = found.pair.score_map
        self.space = BoundingSpace(found.pair.score, min(rank, found.pair.score.modes))
        self.vectors = VectorBlocks(self.space.dimension, block_rows=block_rows)
        self.slots = array("q")


class _ProbeSide:
    """The vectors for one kind of probe."""

    def __init__(
        self, kind: EvidenceKind, slots: _Slots, calibration: Calibration, rank: int, block_rows: int
    ) -> None:
        self.kind, self._slots, self._calibration = kind, slots, calibration
        self._rank, self._block_rows = rank, block_rows
        self.groups: list[_Group] = []
        self._numbers: dict[EvidenceKind, int] = {}
        self._group_of = array("i")
        self._place_of = array("q")
        self._other_means: dict[int, Array] = {}
        used = [slot for slot, template_id in enumerate(slots.ids) if template_id]
        for start in range(0, len(used), BLOCK_ROWS):
            self.add(used[start : start + BLOCK_ROWS])

    def __len__(self) -> int:
        return sum(len(group.slots) for group in self.groups)

    def add(self, slots: Sequence[int]) -> None:
        """Those that this kind of probe can be compared with."""
        by_group: dict[int, list[int]] = defaultdict(list)
        for slot in slots:
            while len(self._group_of) <= slot:
                self._group_of.append(NOWHERE)
                self._place_of.append(NOWHERE)
            kind = self._slots.kinds[slot]
            if slot in self._slots.more:
                part = best_part(self._slots.more[slot], self.kind, self._calibration)
                if part.kind != kind:
                    kind = part.kind
                    self._other_means[slot] = part.posterior.mean
            by_group[self._number(kind)].append(slot)
        for number, few in by_group.items():
            if number == NOWHERE:
                continue
            group = self.groups[number]
            for place, slot in enumerate(few, start=len(group.slots)):
                self._group_of[slot], self._place_of[slot] = number, place
            group.slots.extend(few)
            group.vectors.append(group.space.references(self.means(np.array(few, dtype=np.int64))))

    def remove(self, slot: int) -> None:
        """The last of its group takes its place."""
        number, place = self._group_of[slot], self._place_of[slot]
        self._other_means.pop(slot, None)
        if number == NOWHERE:
            return
        group = self.groups[number]
        group.vectors.remove(place)
        last = group.slots.pop()
        if last != slot:
            group.slots[place] = last
            self._place_of[last] = place
        self._group_of[slot] = self._place_of[slot] = NOWHERE

    def best(self, group: _Group, probe: SearchProbe, count: int, least_llr: float) -> Ranked:
        """Rows of the group."""
        vector = group.space.probe(probe.posterior.mean)

        def exact(rows: Rows) -> Array:
            slots = np.array([group.slots[row] for row in rows], dtype=np.int64)
            return group.space.exact(self.means(slots), vector)

        return best_of(
            BlockScan(group.vectors, vector),
            count=count,
            exact=exact,
            slack=vector.slack,
            least=group.score_map.least_score(least_llr),
        )

    def means(self, slots: Rows) -> Array:
        """(m, K) of the parts that are compared with this kind of probe."""
        found = self._slots.means.rows(slots)
        if self._other_means:
            for n, slot in enumerate(slots.tolist()):
                other = self._other_means.get(slot)
                if other is not None:
                    found[n] = other
        return found

    def _number(self, kind: EvidenceKind) -> int:
        if kind not in self._numbers:
            try:
                found = self._calibration.of(kind, self.kind)
            except ModelMismatch:
                self._numbers[kind] = NOWHERE
            else:
                self._numbers[kind] = len(self.groups)
                self.groups.append(_Group(found, self._rank, self._block_rows))
        return self._numbers[kind]


class MemoryIndex:
    """See ``ports.references.ReferenceIndex``."""

    def __init__(
        self, on: Stores, calibration: Calibration, *, rank: int = RANK, block_rows: int = BLOCK_ROWS
    ) -> None:
        self._feed, self._calibration = ReferenceFeed(on, calibration), calibration
        self._rank, self._block_rows = rank, block_rows
        self._lock = threading.Lock()
        self._loader: threading.Thread | None = None
        self._sequence: int | None = None
        self._clear()

    def start(self) -> None:
        """Load in a thread of its own."""
        self._loader = threading.Thread(target=self._load, name="recon-references", daemon=True)
        self._loader.start()

    def check(self) -> None:
        """Raises ReferencesNotReady while it loads."""
        if self._loader is not None and self._loader.is_alive():
            raise _not_ready()

    def search(self, probe: SearchProbe, *, count: int, least_llr: float) -> SearchResult:
        """One search at a time: each takes all the memory's speed that one core can use."""
        self._calibration.require(probe.posterior.space, len(probe.posterior.mean))
        with self._up_to_date():
            if probe.kind not in self._sides:
                self._sides[probe.kind] = _ProbeSide(
                    probe.kind, self._slots, self._calibration, self._rank, self._block_rows
                )
            side = self._sides[probe.kind]
            hits: list[Hit] = []
            scored = 0
            for group in side.groups:
                ranked = side.best(group, probe, count, least_llr)
                scored += ranked.scored
                for row, score in zip(ranked.rows, ranked.scores, strict=True):
                    template_id = self._slots.ids[group.slots[row]]
                    hits.append(Hit(template_id, group.score_map(float(score))))
            everybody = len(self._slots.of_id) + len(self._unfit)
            searched = len(side)
        hits.sort(key=lambda hit: (-hit.llr, hit.template_id))
        return SearchResult(tuple(hits[:count]), searched, everybody - searched, scored)

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._clear()
            self._sequence = None

    @contextmanager
    def _up_to_date(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise _not_ready()
        try:
            self._follow()
            yield
        finally:
            self._lock.release()

    def _load(self) -> None:
        try:
            with self._lock:
                self._follow()
        except StorageFault:
            return  # the first search tries again, and says so

    def _follow(self) -> None:
        for change in self._feed.since(self._sequence):
            self._sequence = None  # what breaks off within a change begins anew
            if change.fresh:
                self._clear()
            self._apply(change)
            self._sequence = change.sequence if change.complete else None

    def _clear(self) -> None:
        self._slots = _Slots(self._calibration.modes, self._block_rows)
        self._sides: dict[EvidenceKind, _ProbeSide] = {}
        self._unfit: set[str] = set()

    def _apply(self, change: ReferenceChange) -> None:
        for template_id in (*change.gone, *(one.template_id for one in change.references)):
            self._remove(template_id)
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
        slot = self._slots.of_id.get(template_id)
        if slot is None:
            return
        for side in self._sides.values():
            side.remove(slot)
        self._slots.remove(slot)


def _not_ready() -> ReferencesNotReady:
    return ReferencesNotReady(
        "the references are being loaded", next_step="Send the request again after the time in Retry-After."
    )
