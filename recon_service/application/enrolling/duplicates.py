"""The question at the end of an enrollment: is this person enrolled already, under another subject?

An answer is a finding that operations see, never a refusal: two people may look alike, and one person may
have two subjects for a reason. By a setting the new template waits for their decision.
"""

from __future__ import annotations

from dataclasses import dataclass

from recon_service.application.enrolling.duplicate_findings import MOST_FINDINGS
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import EnrollmentOutcome, Operation, Problem
from recon_service.application.records.references import DuplicateFinding, SealedReference, SearchProbe
from recon_service.application.searching.identification import (
    SHORTLIST,
    Identifier,
    Likeness,
    compared,
    likenesses,
)
from recon_service.application.searching.reference_feed import PAGE
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.appearance import Appearance


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found. head: number of the last change among the references that it surely knew of."""

    probe: SearchProbe
    appearance: Appearance | None
    alike: tuple[Likeness, ...]
    head: int


@dataclass(frozen=True, slots=True)
class DuplicateCheck:
    """least_llr: natural log-likelihood ratio from which somebody is a finding. hold: the new template of
    such an enrollment is not activated until operations do it.
    """

    by: Identifier
    least_llr: float
    hold: bool = False

    def check(self) -> None:
        """Raises ReferencesNotReady while the references are being loaded."""
        self.by.index.check()

    def search(self, outcome: EnrollmentOutcome, *, on: Stores) -> Searched | None:
        """Whom the enrolled person looks like among all who are enrolled at this moment; None where there is
        no posterior. Raises ReferencesNotReady, ModelMismatch, StorageFault.
        """
        if outcome.posterior is None:
            return None
        used = sum(1 for selfie in outcome.selfies if selfie.used)
        probe = SearchProbe(EvidenceKind.of(outcome.source, max(1, used)), outcome.posterior)
        with on.database.snapshot() as tx:
            head = tx.references.head()
        result = self.by.index.search(probe, count=SHORTLIST, least_llr=-float("inf"))
        alike = likenesses(result.hits, probe, outcome.appearance, on=on, by=self.by)
        return Searched(probe, outcome.appearance, tuple(alike), head)

    def findings(
        self, searched: Searched, operation: Operation, *, on: Stores, tx: Transaction
    ) -> tuple[DuplicateFinding, ...]:
        """Other subjects that the enrolled person looks like, the likeliest first. In the transaction that
        ends the enrollment, after ``tx.references.take_turns()``: who was enrolled since the search is
        compared here, so that of two who end at one moment the second sees the first.
        """
        late = _since(searched.head, tx)
        late_alike = compared(late, searched.probe, searched.appearance, on=on, tx=tx, by=self.by)
        alike = [*searched.alike, *late_alike]
        best: dict[str, DuplicateFinding] = {}
        for one in sorted(alike, key=lambda one: -one.score.llr):
            other, llr = one.reference.version.subject_id, one.score.llr
            if other == operation.subject_id or llr < self.least_llr or other in best:
                continue
            if tx.subjects.key(other, lock=True) is not None:  # else deleted meanwhile, and now not before us
                ids = (operation.operation_id, operation.subject_id, other, one.reference.template_id)
                best[other] = DuplicateFinding(*ids, llr, on.clock())
            if len(best) == MOST_FINDINGS:
                break
        return tuple(best.values())

    @property
    def problem(self) -> Problem:
        """What an operation with findings says."""
        if self.hold:
            return Problem(
                "duplicate-held",
                "The person looks like somebody who is enrolled already; the template waits.",
                "Have operations look at the finding, and activate the template or delete the subject.",
            )
        return Problem(
            "possible-duplicate",
            "The person looks like somebody who is enrolled already.",
            "Have operations look at the finding.",
        )


def _since(sequence: int, tx: Transaction) -> list[SealedReference]:
    """Templates that became active after that change and still are."""
    found: dict[str, SealedReference] = {}
    while changes := tx.references.changes(after=sequence, limit=PAGE):
        sequence = changes[-1][0]
        touched = tuple(dict.fromkeys(template_id for _, template_id in changes))
        found |= {one.template_id: one for one in tx.references.of(touched)}
    return list(found.values())
