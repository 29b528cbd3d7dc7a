"""What the search among all references hands around."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from recon_service.application.records import WrappedKey


@dataclass(frozen=True, slots=True)
class SealedReference:
    """An active template as it is stored, and the key that opens it."""

    template_id: str
    key: WrappedKey
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DuplicateFinding:
    """Somebody who was enrolled by ``operation_id`` looks like another subject. template_id: of the other
    one. llr: natural log-likelihood ratio.
    """

    operation_id: str
    subject_id: str
    other_subject_id: str
    template_id: str
    llr: float
    found_at: datetime
