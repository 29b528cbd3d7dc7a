"""All active templates, opened, and after that only what changed among them: what an index is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from recon_service.application.errors import Overloaded
from recon_service.application.ports.stores import Stores
from recon_service.application.records.references import SealedReference
from recon_service.application.templates.sealing import TEMPLATE_PLACE
from recon_service.domain.errors import Conflict, StorageFault
from recon_service.domain.template import Template

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
    """templates: active ones, to be added, or taken instead of what was there under their ids. gone: ids that
    are not active any more. sequence: number of the last change that this covers. fresh: what the index holds
    goes first. complete: the index holds all that was active at that number then.
    """

    templates: tuple[Template, ...]
    gone: tuple[str, ...]
    sequence: int
    fresh: bool = False
    complete: bool = True


class ReferenceFeed:
    """Reads what is active. Templates that cannot be opened are skipped and counted: a damaged one must not
    end the search for all others.
    """

    def __init__(self, on: Stores) -> None:
        self._on = on
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
            last = len(page) < PAGE
            yield ReferenceChange(self._opened(page), (), head, complete=last)
            if last:
                return
            after = page[-1].template_id

    def _changes(self, sequence: int) -> Iterator[ReferenceChange]:
        while True:
            with self._on.database.snapshot() as tx:
                log = tx.references.changes(after=sequence, limit=PAGE)
                touched = tuple(dict.fromkeys(template_id for _, template_id in log))
                active = tx.references.of(touched)
            if log:
                there = {reference.template_id for reference in active}
                sequence = log[-1][0]
                gone = tuple(one for one in touched if one not in there)
                yield ReferenceChange(self._opened(active), gone, sequence)
            if len(log) < PAGE:
                return

    def _opened(self, references: Sequence[SealedReference]) -> tuple[Template, ...]:
        found = []
        for reference in references:
            try:
                found.append(open_reference(reference, on=self._on))
            except StorageFault:
                self.unreadable += 1
        return tuple(found)


def open_reference(reference: SealedReference, *, on: Stores) -> Template:
    """Decrypted. Raises StorageFault."""
    content = on.vault.cipher(reference.key).open(
        reference.sealed, place=TEMPLATE_PLACE, row=reference.template_id
    )
    template = on.template_format.read(content)
    if (template.template_id, template.subject_id) != (reference.template_id, reference.key.subject_id):
        raise StorageFault("a stored template does not belong to its row")
    return template
