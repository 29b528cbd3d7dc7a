"""Where recent probes are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from recon_service.application.records.probes import SealedProbe


class RecentProbes(Protocol):
    """What verifications saw of subjects whose consent says so. Rows go with their subject."""

    def keep(self, probe: SealedProbe, *, most: int) -> None:
        """Of the subject's only the newest ``most`` stay. The subject's key is locked."""
        ...

    def of(self, subject_id: str) -> list[SealedProbe]:
        """Newest first."""
        ...

    def forget(self, subject_id: str) -> int:
        """Remove all of the subject; how many."""
        ...

    def expire(self, *, before: datetime, limit: int) -> int:
        """Remove a page of what was seen before that moment; how many."""
        ...
