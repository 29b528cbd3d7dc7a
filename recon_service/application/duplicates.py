"""The question at the end of an enrollment: is this person enrolled already, under another subject?

An answer is a finding that operations see, never a refusal: two people may look alike, and one person may
have two subjects for a reason. By a setting the new template waits for their decision.
"""

from __future__ import annotations

from dataclasses import dataclass

from recon_service.application.duplicate_findings import MOST_FINDINGS
from recon_service.application.identification import SHORTLIST, Identifier, likenesses
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records import EnrollmentOutcome, Operation, Problem
from recon_service.application.reference_records import DuplicateFinding, SearchProbe
from recon_service.comparison.evidence_kind import EvidenceKind


@dataclass(frozen=True, slots=True)
class DuplicateCheck:
    """least_llr: natural log-likelihood ratio from which somebody is a finding. hold: the new template of
    such an enrollment is not activated until operations do it.
    """

    by: Identifier
    least_llr: float
    hold: bool = False

    def findings(
        self, operation: Operation, outcome: EnrollmentOutcome, *, on: Stores
    ) -> tuple[DuplicateFinding, ...]:
        """Other subjects that the enrolled person looks like, the likeliest first. Raises ReferencesNotReady,
        ModelMismatch, StorageFault.
        """
        if outcome.posterior is None:
            return ()
        used = sum(1 for selfie in outcome.selfies if selfie.used)
        probe = SearchProbe(EvidenceKind.of(outcome.source, max(1, used)), outcome.posterior)
        result = self.by.index.search(probe, count=SHORTLIST, least_llr=-float("inf"))
        alike = likenesses(result.hits, probe, outcome.appearance, on=on, by=self.by)
        return tuple(
            DuplicateFinding(
                operation.operation_id,
                operation.subject_id,
                one.template.subject_id,
                one.template.template_id,
                one.score.llr,
                on.clock(),
            )
            for one in alike
            if one.template.subject_id != operation.subject_id and one.score.llr >= self.least_llr
        )[:MOST_FINDINGS]

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

    @staticmethod
    def keep(findings: tuple[DuplicateFinding, ...], tx: Transaction) -> None:
        """In the transaction that ends the enrollment; without those about somebody who was deleted
        meanwhile.
        """
        for finding in findings:
            if tx.subjects.key(finding.other_subject_id) is not None:
                tx.references.add_finding(finding)
