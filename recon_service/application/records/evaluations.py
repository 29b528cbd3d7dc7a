"""Evaluations of a batch: the former and the candidate way of making templates, tried on the same people.

A way is what one template differs from another by, when both are of the same person: model, calibration,
reconstruction backend, and the material that it was derived from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from recon_service.application.records.batches import Material

if TYPE_CHECKING:  # the API process never loads what these modules need
    from recon_service.application.records.probes import ProbeSeen
    from recon_service.domain.template import Template

OBSERVATION_PLACE: Final = "evaluation_observations"


class EvaluationSet(StrEnum):
    """On whom. SIMULATED: people who do not exist, the same ones every time. REAL: those in the folder that
    the settings name.
    """

    SIMULATED = "simulated"
    REAL = "real"


class EvaluationState(StrEnum):
    """PENDING: waits for a worker that has nothing more urgent, or is under way."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Way:
    """How templates are made. model, calibration: as templates have them. backend: whose meshes take part.
    material: what it is derived from; where that is not selfies, ``parent`` made what it is derived from.
    """

    model: str
    calibration: str
    backend: str
    material: Material = Material.SELFIES
    parent: Way | None = None

    @property
    def key(self) -> str:
        """The same for the same way."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of ``asdict``."""
        parent = value["parent"]
        return cls(
            value["model"],
            value["calibration"],
            value["backend"],
            Material(value["material"]),
            cls.of(parent) if parent is not None else None,
        )


@dataclass(frozen=True, slots=True)
class SetFacts:
    """An evaluation set as a worker finds it. key: digest of its content. row: what is compared with what,
    such as ``image5-depth3``. code: digest of the code that looks at it.
    """

    dataset: str
    key: str
    people: int
    row: str
    notes: tuple[str, ...]
    code: str


@dataclass(frozen=True, slots=True)
class PersonObserved:
    """One person of a set: a template of every enrollment, and what every visit showed, in the order of the
    draws; None where it gave nothing.
    """

    references: tuple[Template | None, ...] = field(repr=False)
    probes: tuple[ProbeSeen | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SideObserved:
    """All people of a set by one way. code: that looked at them."""

    way: Way
    code: str
    people: tuple[PersonObserved, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """A rate, 0 to 1, with its 95 % interval over people. value None: it cannot be measured with so many,
    for the reason in ``refused``.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class SideFigures:
    """How one way did. scored_with: calibration. enrollments, visits: with those that gave nothing. eer;
    fnmr_at_fmr: false non-match rate at the false match rate that the policy claims; fnmr, fmr: at the
    policy's threshold for a match. cllr: cost of the ratios in bits, no rate; it moves before the rates do.
    """

    way: Way
    scored_with: str
    code: str
    enrollments: int
    failed_enrollments: int
    visits: int
    failed_visits: int
    eer: Figure
    fnmr_at_fmr: Figure
    fnmr: Figure
    fmr: Figure
    cllr: Figure


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate less former of one rate, over the same comparisons, with its 95 % interval from drawing the
    same people for both. more_than_chance: the interval is without 0.
    """

    rate: str
    value: float
    low: float
    high: float
    more_than_chance: bool


@dataclass(frozen=True, slots=True)
class EvaluationOutcome:
    """dataset, notes, row, people: see ``SetFacts``. genuine, impostor: comparisons that both ways have.
    policy, claimed_fmr: in force. same: both ways are one here, code included: they cannot differ.
    """

    dataset: str
    notes: tuple[str, ...]
    row: str
    people: int
    genuine: int
    impostor: int
    policy: str
    claimed_fmr: float | None
    same: bool
    former: SideFigures
    candidate: SideFigures
    differences: tuple[Difference, ...]

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of ``asdict``, from JSON."""
        known = dict(value)
        for side in ("former", "candidate"):
            facts = dict(known[side])
            for rate in ("eer", "fnmr_at_fmr", "fnmr", "fmr", "cllr"):
                facts[rate] = Figure(**facts[rate])
            known[side] = SideFigures(**{**facts, "way": Way.of(facts["way"])})
        known["notes"] = tuple(known["notes"])
        known["differences"] = tuple(Difference(**one) for one in known["differences"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class BatchEvaluation:
    """One evaluation of one batch. done, total: people and ways looked at. reason: code of why it failed.
    outcome: when it is done.
    """

    batch_id: str
    evaluation_set: EvaluationSet
    former: Way
    candidate: Way
    asked_at: datetime
    updated_at: datetime
    state: EvaluationState = EvaluationState.PENDING
    attempts: int = 0
    done: int = 0
    total: int = 0
    reason: str = ""
    next_step: str = ""
    outcome: EvaluationOutcome | None = None


@dataclass(frozen=True, slots=True)
class ObservationKey:
    """Under which what was seen of a person is kept: whoever asks the same again finds it."""

    set_key: str
    way_key: str
    code: str
