"""Evidence as it is kept, sealed, for models that come later."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

EVIDENCE_PLACE: Final = "kept_evidence"


@dataclass(frozen=True, slots=True)
class SealedEvidence:
    """What an enrollment saw, without its pictures. template_id: what was fitted to it at that time. sealed:
    encrypted with the subject's key for the place ``kept_evidence`` and the row ``template_id``.
    """

    subject_id: str
    template_id: str
    created_at: datetime
    sealed: bytes = field(repr=False)
