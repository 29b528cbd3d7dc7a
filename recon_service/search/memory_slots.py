"""The references of an index in memory, each in a slot that stays its own while its template is active, for
whichever version of it is compared.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from recon_service.application.searching.compared_versions import ComparedVersion
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.strengthening_parts import ReferencePart, parts_of
from recon_service.search.vector_blocks import VectorBlocks


class Slots:
    """All references: ids, the mean of the enrollment and its kind, and what else the version that is
    compared consists of. sources: of those with more than one part, how many have something of each.
    """

    def __init__(self, modes: int, block_rows: int) -> None:
        self.means = VectorBlocks(modes, dtype=np.float64, block_rows=block_rows)
        self.ids: list[str] = []
        self.kinds: list[EvidenceKind] = []
        self.of_id: dict[str, int] = {}
        self.more: dict[int, tuple[ReferencePart, ...]] = {}
        self.sources: Counter[str] = Counter()
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
            self.sources.update(part.kind.source for part in parts)
        return slot

    def remove(self, slot: int) -> None:
        """What was there is overwritten."""
        del self.of_id[self.ids[slot]]
        self.means.write(slot, np.zeros(self.means.dimension))
        self.ids[slot] = ""
        self.sources -= Counter(part.kind.source for part in self.more.pop(slot, ()))
        self._free.append(slot)
