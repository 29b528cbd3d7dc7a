"""Evaluations of batches: where they are kept, and what computes them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from recon_service.application.records.evaluations import (
    BatchEvaluation,
    EvaluationOutcome,
    EvaluationSet,
    ObservationKey,
    SetFacts,
    SideObserved,
    Way,
)

if TYPE_CHECKING:  # the API process never loads what these modules need
    from recon_service.application.records.evaluations import PersonObserved


class Evaluations(Protocol):
    """Rows of evaluations, which go with their batch; and what was seen of the people of a set, which does
    not.
    """

    def put(self, evaluation: BatchEvaluation) -> None:
        """Takes the place of an earlier one of the batch on that set."""
        ...

    def of_batch(self, batch_id: str) -> list[BatchEvaluation]:
        """In the order of their sets."""
        ...

    def waits(self, *, now: datetime, stale_before: datetime) -> bool:
        """Whether there is one to work on that nobody holds."""
        ...

    def take(self, *, token: str, now: datetime, stale_before: datetime) -> BatchEvaluation | None:
        """The oldest that is pending, and that nobody holds or whose holder has been silent."""
        ...

    def save(self, evaluation: BatchEvaluation, *, token: str) -> bool:
        """Write state and progress, and let go. False: somebody else holds it."""
        ...

    def observation(self, key: ObservationKey, person: int) -> bytes | None:
        """Sealed."""
        ...

    def observed(self, key: ObservationKey) -> set[int]:
        """The people that something is kept of."""
        ...

    def keep_observation(self, key: ObservationKey, person: int, sealed: bytes, *, now: datetime) -> None:
        """One that is there already stays."""
        ...

    def other_code(self, key: ObservationKey, *, people: int, before: datetime) -> str | None:
        """The newest other code that looked at all people of that set by that way before that moment."""
        ...

    def use_observations(self, key: ObservationKey, *, now: datetime) -> None:
        """They were needed now: retention counts from here."""
        ...

    def expire_observations(self, *, before: datetime, limit: int) -> int:
        """Remove a page of those that nobody needed since; how many."""
        ...


class Evaluating(Protocol):
    """The heavy part, wherever it runs."""

    def evaluation_facts(self, which: EvaluationSet) -> SetFacts:
        """Raises InvalidValue: there is no such set here, or it cannot be read."""
        ...

    def evaluation_person(self, which: EvaluationSet, person: int, way: Way) -> PersonObserved:
        """Raises WeightsUnavailable, ModelMismatch: this way cannot be gone here."""
        ...

    def evaluation_outcome(
        self, facts: SetFacts, former: SideObserved, candidate: SideObserved
    ) -> EvaluationOutcome:
        """Raises ModelMismatch, InvalidValue: nothing can be compared."""
        ...
