"""What the search among all references hands around."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from recon_service.application.records.subjects import WrappedKey
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.posterior import IdentityPosterior


@dataclass(frozen=True, slots=True)
class SealedReference:
    """An active template, or one that was, as it is stored, and the key that opens it."""

    template_id: str
    key: WrappedKey
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DuplicateFinding:
    """Somebody who was enrolled by ``operation_id`` looks like another subject. template_id: of the other
    one's template in force. llr: natural log-likelihood ratio.
    """

    operation_id: str
    subject_id: str
    other_subject_id: str
    template_id: str
    llr: float
    found_at: datetime


@dataclass(frozen=True, slots=True)
class SearchProbe:
    """Somebody who is to be found. kind: of the evidence that the posterior rests on."""

    kind: EvidenceKind
    posterior: IdentityPosterior


@dataclass(frozen=True, slots=True)
class Hit:
    """An active template that the probe may be of, under whichever version it was compared. llr: natural
    log-likelihood ratio of the shapes.
    """

    template_id: str
    llr: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """hits: best first. searched: how many references were compared. not_comparable: how many were not,
    because they are of another model, or the calibration does not know their kind. unreadable: how many
    were not, because they cannot be opened. scored: how many were looked at in the second step.
    """

    hits: tuple[Hit, ...]
    searched: int
    not_comparable: int = 0
    scored: int = 0
    unreadable: int = 0
