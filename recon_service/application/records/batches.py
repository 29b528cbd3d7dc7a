"""Batches of re-enrollment as they are kept: what was asked for, where it stands, and one item per
subject.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from recon_service.application.records.operations import BACKENDS, LANDMARKS_ALONE
from recon_service.application.records.subjects import WrappedKey
from recon_service.application.records.templates import SealedTemplate
from recon_service.domain.errors import InvalidValue, UnknownBackend

MAX_LISTED_SUBJECTS: Final = 10_000
"""Of a batch that names its subjects; a larger one is selected by what its templates are."""
MAX_PRIORITY: Final = 9


class BatchState(StrEnum):
    """RUNNING: items are made and worked on. PAUSED: not for now. READY: every item has its end, nothing is
    in force yet. ACTIVATING, ACTIVE: candidates take, or have taken, the place of the active templates.
    ROLLING_BACK, ROLLED_BACK: the former ones take it again. CANCELLED: no more items are worked on.
    """

    RUNNING = "running"
    PAUSED = "paused"
    READY = "ready"
    ACTIVATING = "activating"
    ACTIVE = "active"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"
    CANCELLED = "cancelled"


WORKING: Final = (BatchState.ACTIVATING, BatchState.ROLLING_BACK, BatchState.RUNNING)
"""States in which a runner has something to do."""


class ItemState(StrEnum):
    """WAITING and RUNNING are on the way; all others are ends. REJECTED: what was kept is not good enough.
    NEEDS_NEW_SELFIE: nothing was kept that the target can use. FAILED: a fault, after all attempts.
    """

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    NEEDS_NEW_SELFIE = "needs-new-selfie"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Standing(StrEnum):
    """Of an item's candidate. SUPERSEDED: the subject got another template meanwhile, which was left in
    force.
    """

    CANDIDATE = "candidate"
    ACTIVATED = "activated"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled-back"


class Material(StrEnum):
    """What a template is derived from anew, best first. POSTERIOR: the stored template itself, carried over
    to the target's model and calibration.
    """

    SELFIES = "selfies"
    EVIDENCE = "evidence"
    POSTERIOR = "posterior"


FROM_CAPTURES: Final = (Material.SELFIES, Material.EVIDENCE)


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose templates are derived anew: conditions on the active one, all of which must hold.

    subjects: these alone. model, calibration: that it was made with. made_before: when. quality_below: 0 to
    100. everybody: said outright where there is no condition. listed: instead of ``subjects``, of a batch
    that was read: how many it named. Raises InvalidValue.
    """

    subjects: tuple[str, ...] | None = None
    model: str | None = None
    calibration: str | None = None
    made_before: datetime | None = None
    quality_below: float | None = None
    everybody: bool = False
    listed: int = 0

    def __post_init__(self) -> None:
        conditions = (self.subjects, self.model, self.calibration, self.made_before, self.quality_below)
        unconditional = all(c is None for c in conditions) and not self.listed
        if unconditional != self.everybody:
            raise InvalidValue(
                "a selection has conditions, or says all, not both and not neither",
                next_step='For every subject: {"all": true}.',
            )
        if self.subjects is not None and not 1 <= len(self.subjects) <= MAX_LISTED_SUBJECTS:
            raise InvalidValue(
                f"a list of subjects has 1 to {MAX_LISTED_SUBJECTS} of them, not {len(self.subjects)}",
                next_step="Select by model, age or quality, or submit several batches.",
            )


@dataclass(frozen=True, slots=True)
class BatchTarget:
    """What templates are to become. backend: reconstruction model whose meshes take part. model, calibration:
    name that a worker must run to take an item; empty: whatever it runs. materials: what may be used. Raises
    UnknownBackend, InvalidValue.
    """

    backend: str = LANDMARKS_ALONE
    model: str = ""
    calibration: str = ""
    materials: tuple[Material, ...] = FROM_CAPTURES

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise UnknownBackend(
                f"there is no reconstruction backend {self.backend[:40]!r}",
                next_step=f"There are: {', '.join(BACKENDS)}.",
            )
        if not self.materials or len(set(self.materials)) != len(self.materials):
            raise InvalidValue(
                "a batch names each kind of material that it may use once, and at least one",
                next_step=f"There are: {', '.join(Material)}.",
            )


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch. moment: who enrolled or was enrolled anew after it is no part of it. cursor: the last subject
    for whom an item was made. listed_at: when the last one was. expected: subjects selected at the moment.
    begun_at, ended_at: of the work on items, the last time. items_gone_at: since then retention destroys the
    items, and there is no way on or back; their counts stay.
    """

    batch_id: str
    state: BatchState
    selection: Selection
    target: BatchTarget
    priority: int
    created_by: str
    moment: datetime
    updated_at: datetime
    expected: int
    cursor: str = ""
    listed_at: datetime | None = None
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    items_gone_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.priority <= MAX_PRIORITY:
            raise InvalidValue(f"a priority lies between 0 and {MAX_PRIORITY}, not {self.priority}")


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One subject's part of a batch. reason: code of why it did not succeed. template_id: the candidate.
    former_id: the template that was in force when the candidate took its place.
    """

    batch_id: str
    subject_id: str
    state: ItemState
    attempts: int = 0
    reason: str = ""
    material: Material | None = None
    template_id: str | None = None
    former_id: str | None = None
    standing: Standing | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """An item that a runner has taken, with what it needs to begin. active None: the subject has no template
    in force any more. keeps_selfies, keeps_evidence: whether there are any.
    """

    subject_id: str
    attempts: int
    key: WrappedKey = field(repr=False)
    active: SealedTemplate | None
    keeps_selfies: bool = False
    keeps_evidence: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Items of one batch under one claim."""

    batch: Batch
    token: str
    items: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class ItemEnd:
    """How one attempt at an item ended. candidate: with SUCCEEDED. state WAITING: to be tried again, not
    before ``due``; refund: the attempt does not count. key_id: of the key that the candidate is sealed
    with.
    """

    subject_id: str
    state: ItemState
    key_id: str
    reason: str = ""
    material: Material | None = None
    candidate: SealedTemplate | None = None
    due: datetime | None = None
    refund: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of a batch's items by state, of their candidates by standing, and of ends by reason."""

    states: Mapping[ItemState, int]
    standings: Mapping[Standing, int]
    reasons: Mapping[str, int]
    materials: Mapping[str, int]

    @property
    def listed(self) -> int:
        """Items that were made."""
        return sum(self.states.values())

    @property
    def open(self) -> int:
        """Items without an end."""
        return self.states.get(ItemState.WAITING, 0) + self.states.get(ItemState.RUNNING, 0)

    @property
    def done(self) -> int:
        """Items with an end."""
        return self.listed - self.open


@dataclass(frozen=True, slots=True)
class Preview:
    """What a batch would find. selfies, evidence: subjects with such material kept. nothing: with none that
    the target may use. unknown: listed subjects that there are not, or that have no template in force.
    models: subjects by model and calibration of the active template.
    """

    selected: int
    selfies: int
    evidence: int
    nothing: int
    unknown: int
    models: Mapping[tuple[str, str], int]
