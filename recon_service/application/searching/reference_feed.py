"""A version of every active template, opened, and after that only what changed among them: what an index is
made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from recon_service.application.errors import Overloaded
from recon_service.application.ports.database import Transaction
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
    """The search loads the references, or others are at it: it answers when it has all of them."""

    code = "references-not-ready"
    title = "The search is not ready"
    retry_after_s: int = 10


@dataclass(frozen=True, slots=True)
class ReferenceChange:
    """references: active templates, to be added, or taken instead of what was there under their ids. gone:
    ids that are not active any more. sequence: number of the last change that this covers, and ``last`` its
    template. fresh: what the index holds goes first. complete: the index holds all that was active at that
    number then. unreadable: ids of active templates that cannot be opened, in place of what was there.
    """

    references: tuple[ComparedVersion, ...]
    gone: tuple[str, ...]
    sequence: int
    fresh: bool = False
    complete: bool = True
    last: str = ""
    unreadable: tuple[str, ...] = ()

    @property
    def touched(self) -> tuple[str, ...]:
        """Ids of all that it speaks of."""
        return (*self.gone, *self.unreadable, *(one.template_id for one in self.references))


class ReferenceFeed:
    """Reads what is active, and under which version it is compared by this calibration. A template that
    cannot be opened must not end the search for all others: it is told apart, and asked for again after a
    while.
    """

    def __init__(self, on: Stores, calibration: Calibration) -> None:
        self._on, self._calibration = on, calibration

    def since(self, sequence: int | None, *, last: str = "") -> Iterator[ReferenceChange]:
        """What an index that stands at that number (None: at nothing) lacks, to be applied in this order.

        last: the template of the change of that number, if it is known. A database that was put back to an
        older state, by a restore or by a standby that lacked the last commits, gives the numbers anew: where
        the change is another one by now, everything is read again.
        """
        if sequence is not None:
            with self._on.database.snapshot() as tx:
                if last and _template_of(sequence, tx) != last:
                    sequence = None
                elif tx.references.head() == sequence:
                    return
                elif tx.references.oldest_change() > sequence + 1:
                    sequence = None  # the log was shortened meanwhile
        if sequence is None:
            for change in self._everything():
                sequence = change.sequence
                yield change
        assert sequence is not None
        yield from self._changes(sequence)

    def again(self, template_ids: Sequence[str], *, sequence: int, last: str = "") -> ReferenceChange:
        """What could not be opened, opened now if it can be. sequence, last: where the index stands."""
        with self._on.database.snapshot() as tx:
            opened, active = self._opened(template_ids, tx)
        gone = tuple(one for one in template_ids if one not in active)
        return ReferenceChange(opened.versions, gone, sequence, last=last, unreadable=opened.unreadable)

    def _everything(self) -> Iterator[ReferenceChange]:
        """In pages. What changes meanwhile is in the log after the number that every page carries."""
        after = ""
        with self._on.database.snapshot() as tx:
            head = tx.references.head()
            last = _template_of(head, tx)
        yield ReferenceChange((), (), head, fresh=True, complete=False, last=last)
        while True:
            with self._on.database.snapshot() as tx:
                page = tx.references.page(after=after, limit=PAGE)
                opened = compared_versions(page, self._calibration, on=self._on, tx=tx)
            done = len(page) < PAGE
            yield ReferenceChange(
                opened.versions, (), head, complete=done, last=last, unreadable=opened.unreadable
            )
            if done:
                return
            after = page[-1].template_id

    def _changes(self, sequence: int) -> Iterator[ReferenceChange]:
        while True:
            with self._on.database.snapshot() as tx:
                log = tx.references.changes(after=sequence, limit=PAGE)
                touched = tuple(dict.fromkeys(template_id for _, template_id in log))
                opened, active = self._opened(touched, tx)
            if log:
                sequence, last = log[-1]
                gone = tuple(one for one in touched if one not in active)
                yield ReferenceChange(
                    opened.versions, gone, sequence, last=last, unreadable=opened.unreadable
                )
            if len(log) < PAGE:
                return

    def _opened(self, template_ids: Sequence[str], tx: Transaction) -> tuple[OpenedVersions, set[str]]:
        """And which of them are active."""
        active = tx.references.of(template_ids)
        opened = compared_versions(active, self._calibration, on=self._on, tx=tx)
        return opened, {reference.template_id for reference in active}


def _template_of(sequence: int, tx: Transaction) -> str:
    """Of the change of that number; empty where the log does not have it."""
    for number, template_id in tx.references.changes(after=sequence - 1, limit=1):
        if number == sequence:
            return template_id
    return ""
