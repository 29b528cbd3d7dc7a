"""What the check for duplicates has found."""

from __future__ import annotations

from recon_service.application.ports.stores import Stores
from recon_service.application.records.references import DuplicateFinding
from recon_service.domain.errors import NotFound

MOST_FINDINGS = 5
"""Of one enrollment."""


def findings_of(operation_id: str, *, on: Stores) -> list[DuplicateFinding]:
    """Of one enrollment, the likeliest first. Raises NotFound for an operation that does not exist."""
    with on.database.snapshot() as tx:
        if tx.operations.get(operation_id) is None:
            raise NotFound(
                "there is no such operation", next_step="It may have been deleted with its subject."
            )
        return tx.references.findings(operation_id=operation_id, limit=MOST_FINDINGS)


def all_findings(*, after: str = "", limit: int = 100, on: Stores) -> list[DuplicateFinding]:
    """A page of what was found, by the ids of the operations."""
    with on.database.snapshot() as tx:
        return tx.references.findings(after=after, limit=limit)
