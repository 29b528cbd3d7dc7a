"""Bodies of consents, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import AwareDatetime, ConfigDict, Field

from recon_service.api.schemas import Asked, Body
from recon_service.api.schemas_fields import SubjectField, WantedConsent
from recon_service.application.enrolling.consents import EndingConsent
from recon_service.application.records.consents import Consent

EXAMPLE: Final[dict[str, Any]] = {
    "subject_id": "user-8c41",
    "consent_id": "consent-2031",
    "given_at": "2026-03-04T10:00:00Z",
    "ends_at": "2027-03-01T00:00:00Z",
    "keep_probes": False,
}
EXAMPLES: Final[dict[str, Any]] = {"consents": [EXAMPLE], "next": None}


class ConsentWish(Asked):
    """A newer consent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"consent_id": "consent-2044", "expires_at": "2028-03-01T00:00:00Z", "keep_probes": False}
            ]
        },
    )

    consent_id: WantedConsent
    expires_at: AwareDatetime | None = Field(
        None,
        examples=["2028-03-01T00:00:00Z"],
        description="When the consent ends, with its time zone, in the future; null: it names no end.",
    )
    keep_probes: bool | None = Field(
        None,
        description="Whether what recent verifications saw may be kept; null: as before. False destroys what "
        "was kept.",
    )


class ConsentBody(Body):
    """The consent of a subject that is in force: the newest."""

    subject_id: SubjectField
    consent_id: str = Field(description="Under which you recorded the consent.")
    given_at: datetime = Field(description="When the service was told of it.")
    ends_at: datetime | None = Field(
        description="When everything of the subject is destroyed: as the consent says, or "
        "RECON_CONSENT_MAX_DAYS after it was given. Null: never."
    )
    keep_probes: bool = Field(description="Whether what recent verifications saw may be kept.")


class ConsentsBody(Body):
    """Subjects by their ids."""

    consents: list[ConsentBody] = Field(description="In the order of the subjects' ids.")
    next: str | None = Field(description="`after` of the next page; null: this is the last.")


def consent_body(consent: Consent, ends_at: datetime | None) -> ConsentBody:
    """On the wire."""
    return ConsentBody(
        subject_id=consent.subject_id,
        consent_id=consent.consent_id,
        given_at=consent.given_at,
        ends_at=ends_at,
        keep_probes=consent.keep_probes,
    )


def consents_body(found: list[EndingConsent], limit: int) -> ConsentsBody:
    """On the wire."""
    return ConsentsBody(
        consents=[consent_body(e.consent, e.ends_at) for e in found],
        next=found[-1].subject_id if len(found) == limit else None,
    )
