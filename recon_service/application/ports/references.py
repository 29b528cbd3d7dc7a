"""All active templates, and what changed among them; who of them a probe may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from recon_service.application.records.references import (
    DuplicateFinding,
    SealedReference,
    SearchProbe,
    SearchResult,
)
from recon_service.application.records.templates import VersionHead


class References(Protocol):
    """The active templates of all subjects, what could stand in for them, and the log of their changes."""

    def head(self) -> int:
        """Number of the last change. Changes are numbered in the order in which they were committed."""
        ...

    def changes(self, *, after: int, limit: int) -> list[tuple[int, str]]:
        """Number and template of each change, in order: it is active now, or was and is not any more, or is
        and a version that could stand in for it was destroyed.
        """
        ...

    def oldest_change(self) -> int:
        """Number of the first change that is still kept; one more than the head where none is."""
        ...

    def forget_changes(self, *, before: int, limit: int) -> int:
        """A page of those with smaller numbers; how many."""
        ...

    def page(self, *, after: str, limit: int) -> list[SealedReference]:
        """Active templates in the order of their ids."""
        ...

    def of(self, template_ids: Sequence[str]) -> list[SealedReference]:
        """Those of these templates that are active."""
        ...

    def versions(self, subject_ids: Sequence[str]) -> list[VersionHead]:
        """All versions of these subjects, of whatever state, in no order."""
        ...

    def former(self, template_ids: Sequence[str]) -> list[SealedReference]:
        """Those of these templates that were active and are not any more, in no order."""
        ...

    def count(self) -> int:
        """How many there are."""
        ...

    def take_turns(self) -> None:
        """Wait until no other transaction that called this is open. What those committed can be read then."""
        ...

    def add_finding(self, finding: DuplicateFinding) -> None: ...

    def findings(
        self, *, operation_id: str | None = None, after: str = "", limit: int
    ) -> list[DuplicateFinding]:
        """In the order of the operations' ids: of one, or of all after that one."""
        ...


class ReferenceIndex(Protocol):
    """Searches all active templates. For any number of threads."""

    def start(self) -> None:
        """Begin to load, without waiting for it."""
        ...

    def check(self) -> None:
        """Raises ReferencesNotReady while it loads."""
        ...

    def search(self, probe: SearchProbe, *, count: int, least_llr: float) -> SearchResult:
        """The ``count`` references with the highest log-likelihood ratios of shape, none below ``least_llr``:
        exactly those that comparing with everybody gives. What was committed before the call is reflected.

        Raises ReferencesNotReady while it loads, ModelMismatch for a probe of another model, StorageFault.
        """
        ...

    def close(self) -> None: ...
