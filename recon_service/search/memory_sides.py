"""The vectors of an index in memory for one kind of probe. All references of one kind lie together, since
they share a space; which part of a template is compared there is chosen as in a verification.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from recon_service.application.records.references import SearchProbe
from recon_service.comparison.calibration import Calibration, Found
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.strengthening_parts import best_part
from recon_service.domain.arrays import Array
from recon_service.domain.errors import ModelMismatch
from recon_service.search.bounding_space import BoundingSpace
from recon_service.search.exact_search import Ranked, Rows, best_of
from recon_service.search.memory_slots import Slots
from recon_service.search.vector_blocks import BLOCK_ROWS, BlockScan, VectorBlocks

NOWHERE: Final = -1


class _Group:
    """The references of one kind, for one kind of probe."""

    def __init__(self, found: Found, rank: int, block_rows: int) -> None:
        self.score_map = found.pair.score_map
        self.space = BoundingSpace(found.pair.score, min(rank, found.pair.score.modes))
        self.vectors = VectorBlocks(self.space.dimension, block_rows=block_rows)
        self.slots = array("q")


class ProbeSide:
    """The vectors for one kind of probe."""

    def __init__(
        self, kind: EvidenceKind, slots: Slots, calibration: Calibration, rank: int, block_rows: int
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
