"""A version of every active template, opened, and after that only what changed among them: what an index is
made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from recon_service.application.errors import Overloaded
from recon_service.application.ports.stores import Stores
from recon_service.application.searching.compared_versions import (
    ComparedVersion,
    OpenedVersions,
    compared_versions,
)
from recon_service.comparison.calibration import Calibration
from recon_service.domain.errors import Conflict

PAGE: Final = 1000
KEPT_CHANGES: Final = 1_000_000
"""Who has not read the log for so long loads everything anew."""


class IdentificationOff(Conflict):
    """The service does not search: it was not asked to by its settings."""

    code = "identification-off"
    title = "Identification is switched off"


class ReferencesNotReady(Overloaded):
    """The search loads the references; it answers when it has all of them."""

    code = "references-not-ready"
    title = "The search is loading"
    retry_after_s: int = 10


@dataclass(frozen=True, slots=True)
class ReferenceChange:
    """references: active templates, to be added, or taken instead of what was there under their ids. gone:
    ids that are not active any more. sequence: number of the last change that this covers. fresh: what the
    index holds goes first. complete: the index holds all that was active at that number then.
    """

    references: tuple[ComparedVersion, ...]
    gone: tuple[str, ...]
    sequence: int
    fresh: bool = False
    complete: bool = True


class ReferenceFeed:
    """Reads what is active, and under which version it is compared by this calibration. Templates that cannot
    be opened are skipped and counted: a damaged one must not end the search for all others.
    """

    def __init__(self, on: Stores, calibration: Calibration) -> None:
        self._on, self._calibration = on, calibration
        self.unreadable = 0

    def since(self, sequence: int | None) -> Iterator[ReferenceChange]:
        """What an index that stands at that number (None: at nothing) lacks, to be applied in this order."""
        if sequence is not None:
            with self._on.database.snapshot() as tx:
                if tx.references.head() == sequence:
                    return
                if tx.references.oldest_change() > sequence + 1:
                    sequence = None  # the log was shortened meanwhile
        if sequence is None:
            for change in self._everything():
                sequence = change.sequence
                yield change
        assert sequence is not None
        yield from self._changes(sequence)

    def _everything(self) -> Iterator[ReferenceChange]:
        """In pages. What changes meanwhile is in the log after the number that every page carries."""
        self.unreadable, after = 0, ""
        with self._on.database.snapshot() as tx:
            head = tx.references.head()
        yield ReferenceChange((), (), head, fresh=True, complete=False)
        while True:
            with self._on.database.snapshot() as tx:
                page = tx.references.page(after=after, limit=PAGE)
                opened = compared_versions(page, self._calibration, on=self._on, tx=tx)
            last = len(page) < PAGE
            yield ReferenceChange(self._counted(opened), (), head, complete=last)
            if last:
                return
            after = page[-1].template_id

    def _changes(self, sequence: int) -> Iterator[ReferenceChange]:
        while True:
            with self._on.database.snapshot() as tx:
                log = tx.references.changes(after=sequence, limit=PAGE)
                touched = tuple(dict.fromkeys(template_id for _, template_id in log))
                active = tx.references.of(touched)
                opened = compared_versions(active, self._calibration, on=self._on, tx=tx)
            if log:
                there = {reference.template_id for reference in active}
                sequence = log[-1][0]
                gone = tuple(one for one in touched if one not in there)
                yield ReferenceChange(self._counted(opened), gone, sequence)
            if len(log) < PAGE:
                return

    def _counted(self, opened: OpenedVersions) -> tuple[ComparedVersion, ...]:
        self.unreadable += opened.unreadable
        return opened.versions
