"""The index in memory: posterior means in double precision, and for every pair of kinds that was searched the
vectors of its bounds. Made from the sealed templates when it is first asked for; nothing of it is ever
written.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np

from recon_service.application.ports.stores import Stores
from recon_service.application.reference_feed import (
    ReferenceChange,
    ReferenceFeed,
    ReferencesNotReady,
)
from recon_service.application.reference_records import Hit, SearchProbe, SearchResult
from recon_service.comparison.calibration import Calibration, Found
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.errors import ModelMismatch, StorageFault
from recon_service.domain.template import Template
from recon_service.search.bounding_space import BoundingSpace
from recon_service.search.exact_search import Ranked, best_of
from recon_service.search.vector_blocks import BLOCK_ROWS, BlockScan, VectorBlocks

RANK: Final = 44
"""Directions that are kept of 60: with fewer the second step takes longer, with more the first
(docs/identification.md has both).
"""
PATIENCE_S: Final = 2.0


class _OneKind:
    """All references of one kind of evidence."""

    def __init__(self, modes: int, block_rows: int) -> None:
        self._block_rows = block_rows
        self.means = VectorBlocks(modes, dtype=np.float64, block_rows=block_rows)
        self.ids: list[str] = []
        self.vectors: dict[EvidenceKind, tuple[BoundingSpace, VectorBlocks]] = {}

    def add(self, templates: Sequence[Template]) -> range:
        """Their rows."""
        means = np.stack([template.posterior.mean for template in templates])
        self.means.append(means)
        for space, blocks in self.vectors.values():
            blocks.append(space.references(means))
        self.ids += [template.template_id for template in templates]
        return range(len(self.ids) - len(templates), len(self.ids))

    def remove(self, row: int) -> str | None:
        """The id that has this row now."""
        self.means.remove(row)
        for _, blocks in self.vectors.values():
            blocks.remove(row)
        last = self.ids.pop()
        if row == len(self.ids):
            return None
        self.ids[row] = last
        return last

    def best(self, probe: SearchProbe, found: Found, rank: int, count: int, least_llr: float) -> Ranked:
        """The ranking; the first search of a kind of probe computes the vectors for it."""
        if probe.kind not in self.vectors:
            space = BoundingSpace(found.pair.score, min(rank, found.pair.score.modes))
            blocks = VectorBlocks(space.dimension, block_rows=self._block_rows)
            for means in self.means.filled():
                blocks.append(space.references(means))
            self.vectors[probe.kind] = space, blocks
        space, blocks = self.vectors[probe.kind]
        vector = space.probe(probe.posterior.mean)
        return best_of(
            BlockScan(blocks, vector),
            count=count,
            exact=lambda rows: space.exact(self.means.rows(rows), vector),
            slack=vector.slack,
            least=found.pair.score_map.least_score(least_llr),
        )


class MemoryIndex:
    """See ``ports.references.ReferenceIndex``."""

    def __init__(
        self, on: Stores, calibration: Calibration, *, rank: int = RANK, block_rows: int = BLOCK_ROWS
    ) -> None:
        self._feed, self._calibration = ReferenceFeed(on), calibration
        self._rank, self._block_rows = rank, block_rows
        self._lock = threading.Lock()
        self._loader: threading.Thread | None = None
        self._sequence: int | None = None
        self._kinds: dict[EvidenceKind, _OneKind] = {}
        self._rows: dict[str, tuple[EvidenceKind, int]] = {}
        self._unfit: set[str] = set()

    @property
    def nbytes(self) -> int:
        """Memory of the vectors."""
        with self._lock:
            blocks = [one.means for one in self._kinds.values()]
            blocks += [vectors for one in self._kinds.values() for _, vectors in one.vectors.values()]
            return sum(block.nbytes for block in blocks)

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
            hits: list[Hit] = []
            searched, scored, not_comparable = 0, 0, len(self._unfit)
            for kind, one in self._kinds.items():
                try:
                    found = self._calibration.of(kind, probe.kind)
                except ModelMismatch:
                    not_comparable += len(one.ids)
                    continue
                ranked = one.best(probe, found, self._rank, count, least_llr)
                ratios = found.pair.score_map(ranked.scores)
                hits += [Hit(one.ids[row], float(llr)) for row, llr in zip(ranked.rows, ratios, strict=True)]
                searched, scored = searched + len(one.ids), scored + ranked.scored
        hits.sort(key=lambda hit: (-hit.llr, hit.template_id))
        return SearchResult(tuple(hits[:count]), searched, not_comparable, scored)

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
        self._kinds.clear()
        self._rows.clear()
        self._unfit.clear()

    def _apply(self, change: ReferenceChange) -> None:
        for template_id in (*change.gone, *(t.template_id for t in change.templates)):
            self._remove(template_id)
        by_kind: dict[EvidenceKind, list[Template]] = defaultdict(list)
        for template in change.templates:
            if comparable(template, self._calibration):
                by_kind[kind_of(template)].append(template)
            else:
                self._unfit.add(template.template_id)
        for kind, templates in by_kind.items():
            if kind not in self._kinds:
                self._kinds[kind] = _OneKind(self._calibration.modes, self._block_rows)
            rows = self._kinds[kind].add(templates)
            for template, row in zip(templates, rows, strict=True):
                self._rows[template.template_id] = kind, row

    def _remove(self, template_id: str) -> None:
        self._unfit.discard(template_id)
        if template_id not in self._rows:
            return
        kind, row = self._rows.pop(template_id)
        moved = self._kinds[kind].remove(row)
        if moved is not None:
            self._rows[moved] = kind, row
        if not self._kinds[kind].ids:
            del self._kinds[kind]


def kind_of(template: Template) -> EvidenceKind:
    """What a template rests on."""
    return EvidenceKind.of(template.source, max(1, len(template.provenance)))


def comparable(template: Template, calibration: Calibration) -> bool:
    """Whether the calibration speaks of the template's coefficients and accepts how it was made."""
    try:
        calibration.require(template.posterior.space, len(template.posterior.mean), template.calibration)
    except ModelMismatch:
        return False
    return True


def _not_ready() -> ReferencesNotReady:
    return ReferencesNotReady(
        "the references are being loaded", next_step="Send the request again after the time in Retry-After."
    )
