"""Keeping what an enrollment saw beside its template, where consent says so."""

from __future__ import annotations

from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.evidence import EVIDENCE_PLACE, SealedEvidence
from recon_service.application.records.operations import Operation
from recon_service.application.records.subjects import WrappedKey
from recon_service.domain.template import Template


def keep_evidence(
    template: Template, operation: Operation, evidence: bytes, *, tx: Transaction, key: WrappedKey, on: Stores
) -> None:
    """In the transaction that puts the template in force: evidence of an earlier enrollment goes in any
    case, for it is of other pictures, and another consent.
    """
    tx.kept_evidence.forget(operation.subject_id)
    if not (operation.keep_evidence and evidence):
        return
    sealed = on.vault.cipher(key).seal(evidence, place=EVIDENCE_PLACE, row=template.template_id)
    tx.kept_evidence.put(
        SealedEvidence(operation.subject_id, template.template_id, template.created_at, sealed)
    )
