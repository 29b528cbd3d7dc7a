"""Bodies of identifications and of findings of duplicates, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_fields import (
    CalibrationField,
    Count,
    EvidenceField,
    LlrField,
    MillisecondsField,
    OperationField,
    SubjectField,
    TemplateField,
)
from recon_service.api.schemas_verifications import ReasonBody
from recon_service.application.records.identifications import Identification, IdentificationDecision
from recon_service.application.records.references import DuplicateFinding


class CandidateBody(Body):
    """Somebody who may be the person."""

    subject_id: SubjectField
    template_id: TemplateField
    score: LlrField
    evidence: EvidenceField
    general: bool = Field(
        description="Whether the calibration does not know these captures, so that the score is a careful "
        "estimate."
    )
    meets_policy: bool = Field(
        description="The score reaches the threshold for so many references, and what was measured bears the "
        "policy's claim. Else the candidate is a lead for a person to check."
    )


class IdentificationBody(Body):
    """Who the person before the kiosk may be."""

    decision: IdentificationDecision = Field(
        description="`CANDIDATES`: somebody may be the person. `NO_CANDIDATE`: nobody is like them enough. "
        "`INCONCLUSIVE`: the capture could not be searched with. `PRESENTATION_ATTACK`: not a "
        "living face, nobody was searched."
    )
    candidates: list[CandidateBody] = Field(description="Best first; empty: nobody.")
    searched: Count = Field(description="References that the person was compared with.")
    not_comparable: Count = Field(
        description="References that could not be compared: of another model, of an unknown kind, or that "
        "cannot be opened."
    )
    threshold: float = Field(
        description="Natural log-likelihood ratio that the policy asks for among so many references."
    )
    claim_supported: bool = Field(
        description="Whether the calibration was measured on enough people for the policy's claim among so "
        "many."
    )
    policy: str = Field(description="Name of the policy that decides about searches.")
    frames_used: Count = Field(description="Depth frames that were usable.")
    reasons: list[ReasonBody] = Field(description="Why the search gave nothing, or for care; may be empty.")
    probe_source: str = Field(description="The depth camera, by the name that the request gave.")
    calibration: CalibrationField
    milliseconds: MillisecondsField


class DuplicateBody(Body):
    """Somebody who was enrolled looks like another subject."""

    operation_id: OperationField
    subject_id: str = Field(description="Your pseudonym for the person who was enrolled.")
    other_subject_id: str | None = Field(
        description="The subject that they look like; null for keys without the scope `ops`."
    )
    other_template_id: str | None = Field(
        description="The template of that subject; null for keys without the scope `ops`."
    )
    score: LlrField
    found_at: datetime = Field(description="When the check found it.")


class DuplicatesBody(Body):
    """Findings, and where the next page begins."""

    duplicates: list[DuplicateBody] = Field(
        description="In the order of the enrollments' ids; empty: nothing was found, or the check is off."
    )
    next_after: str | None = Field(description="`after` of the next page; null: this was the last.")


def identification_body(found: Identification) -> IdentificationBody:
    """On the wire."""
    return IdentificationBody(
        decision=found.decision,
        candidates=[
            CandidateBody(
                subject_id=one.subject_id,
                template_id=one.template_id,
                score=round(one.score.llr, 4),
                evidence={kind: round(llr, 4) for kind, llr in one.score.parts},
                general=one.score.general,
                meets_policy=one.meets_policy,
            )
            for one in found.candidates
        ],
        searched=found.searched,
        not_comparable=found.not_comparable,
        threshold=round(found.threshold, 4),
        claim_supported=found.supported,
        policy=found.policy,
        frames_used=found.visit.frames_used,
        reasons=[ReasonBody(code=code, hint=hint) for code, hint in found.reasons],
        probe_source=found.visit.source,
        calibration=found.visit.calibration,
        milliseconds={**found.visit.milliseconds, "search": round(found.search_ms, 2)},
    )


def duplicate_body(finding: DuplicateFinding, *, names: bool) -> DuplicateBody:
    """names: whether the caller may know who the other one is."""
    return DuplicateBody(
        operation_id=finding.operation_id,
        subject_id=finding.subject_id,
        other_subject_id=finding.other_subject_id if names else None,
        other_template_id=finding.template_id if names else None,
        score=round(finding.llr, 4),
        found_at=finding.found_at,
    )


IDENTIFICATION: Final[dict[str, Any]] = {
    "decision": "CANDIDATES",
    "candidates": [
        {
            "subject_id": "user-8c41",
            "template_id": "tpl_0b9f2d4c6e8a4b1c9d7e5f3a1b2c4d6e",
            "score": 3.62,
            "evidence": {"shape": 3.62},
            "general": False,
            "meets_policy": False,
        }
    ],
    "searched": 1204,
    "not_comparable": 0,
    "threshold": 10.0891,
    "claim_supported": False,
    "policy": "pilot-identification-1",
    "frames_used": 3,
    "reasons": [
        {
            "code": "claim-not-measured",
            "hint": "Too few people were measured for a search among so many: have a person check them.",
        }
    ],
    "probe_source": "simulated-stereo",
    "calibration": "released-1@0123456789ab",
    "milliseconds": {"decode": 4.1, "fit": 61.0, "search": 18.3},
}

NOBODY: Final[dict[str, Any]] = {
    **IDENTIFICATION,
    "decision": "NO_CANDIDATE",
    "candidates": [],
    "claim_supported": False,
    "reasons": [],
}

DUPLICATES: Final[dict[str, Any]] = {
    "duplicates": [
        {
            "operation_id": "op_5f0c3c1e8b1f4c0f9d9a4f5b7a6e1d2c",
            "subject_id": "user-8c41",
            "other_subject_id": "user-17aa",
            "other_template_id": "tpl_0b9f2d4c6e8a4b1c9d7e5f3a1b2c4d6e",
            "score": 1.07,
            "found_at": "2026-03-04T10:00:00.470000Z",
        }
    ],
    "next_after": None,
}
