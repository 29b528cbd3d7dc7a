"""Enrollments on their way: operations, claims, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from recon_service.domain.appearance import Appearance
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.quality import QualityReport


class OperationState(StrEnum):
    """Where an operation stands. ``rejected`` is a result (no selfie was good enough), ``failed`` is a
    fault of ours.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED: Final = frozenset({OperationState.SUCCEEDED, OperationState.REJECTED, OperationState.FAILED})


class Lane(StrEnum):
    """Which queue an operation waits in: people who wait go before batches that do not."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


LANDMARKS_ALONE = "facemesh"
"""The default backend: landmarks and matches between the pictures, no mesh of another model."""

BACKENDS = (LANDMARKS_ALONE, "tddfa_v2", "deca", "faceverse")
"""What an enrollment may ask for; whether it can be had shows when it is done (`recon backends`)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something could not be done: a stable code, what happened, what to do."""

    code: str
    detail: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class SelfieReport:
    """What is said to the person about one selfie. quality None: it could not be read at all, for the
    reason in ``problem``. spare: good, but better ones of its view were used instead.
    """

    accepted: bool
    quality: QualityReport | None = None
    problem: Problem | None = None
    spare: bool = False

    @property
    def used(self) -> bool:
        return self.accepted and not self.spare


@dataclass(frozen=True, slots=True)
class Operation:
    """One piece of work that outlives its request. version grows with every change. progress: share done, 0
    to 1. dead_at: when it was given up for a fault of ours; until it is buried it may be tried again.
    backend: the reconstruction model whose mesh adds to the evidence. traceparent: W3C trace context of the
    request, or empty. keep_evidence: what is seen is kept, for other models.
    """

    operation_id: str
    subject_id: str
    state: OperationState
    consent_id: str
    keep_selfies: bool
    created_at: datetime
    updated_at: datetime
    stage: str = "queued"
    progress: float = 0.0
    attempts: int = 0
    version: int = 1
    selfies: tuple[SelfieReport, ...] = ()
    template_id: str | None = None
    problem: Problem | None = None
    ended_at: datetime | None = None
    lane: Lane = Lane.INTERACTIVE
    dead_at: datetime | None = None
    backend: str = LANDMARKS_ALONE
    traceparent: str = ""
    keep_evidence: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on an operation. Whoever has a newer token owns the operation; an older claim
    writes nothing any more.
    """

    operation: Operation
    token: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """How much waits and works in one lane. oldest: since when the first of those that wait does."""

    lane: Lane
    waiting: int = 0
    running: int = 0
    unpublished: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredSelfies:
    """An encrypted object with selfies of an operation. ordinal: its place among them, from 0."""

    operation_id: str
    ordinal: int
    object_key: str


@dataclass(frozen=True, slots=True)
class EnrollmentOutcome:
    """What looking at the selfies gave. posterior None: none was good enough, or, with a problem, what was
    fitted to them is not to be trusted.
    """

    selfies: tuple[SelfieReport, ...]
    posterior: IdentityPosterior | None
    problem: Problem | None = None
    source: str = ""
    backend: str = ""
    model: str = ""
    calibration: str = ""
    appearance: Appearance | None = None
    evidence: bytes = field(default=b"", repr=False)

    @property
    def quality(self) -> float:
        """0 to 100, of the weakest selfie that was used."""
        return min((s.quality.score for s in self.selfies if s.used and s.quality), default=0.0)


MAX_SELFIES = 10
