"""Consents as they are kept: until when what an enrollment gave may be stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from recon_service.application.records.operations import OperationState


@dataclass(frozen=True, slots=True)
class Consent:
    """One consent of one subject: given with an enrollment, or (operation_id None) later for all of it.
    expires_at None: it names no end. swept: what belonged to it alone was destroyed. state: of the
    enrollment at the moment of reading. keep_probes: what verifications see may be kept for a while.
    """

    consent_row: str
    subject_id: str
    operation_id: str | None
    consent_id: str
    given_at: datetime
    expires_at: datetime | None = None
    swept: bool = False
    state: OperationState | None = None
    keep_probes: bool = False

    def end(self, longest: timedelta | None) -> datetime | None:
        """When it ends: as it says, and never later than ``longest`` after it was given. None: never."""
        ends = [self.expires_at] if self.expires_at is not None else []
        if longest is not None:
            ends.append(self.given_at + longest)
        return min(ends, default=None)


def consent_in_force(consents: list[Consent]) -> Consent | None:
    """The one that counts for the subject: the newest, but for enrollments that gave nothing."""
    futile = (OperationState.REJECTED, OperationState.FAILED)
    counting = [c for c in consents if c.state not in futile] or consents
    return max(counting, key=lambda c: (c.given_at, c.consent_row), default=None)


def probes_allowed(consents: list[Consent], now: datetime) -> bool:
    """Whether recent probes of the subject may be kept: its newest consent that took effect says so and has
    not ended, and so does every newer one that may yet take effect.
    """
    ordered = sorted(consents, key=lambda c: (c.given_at, c.consent_row), reverse=True)
    for consent in ordered:
        if (
            consent.state is not None
            and consent.state.ended
            and consent.state is not OperationState.SUCCEEDED
        ):
            continue  # it gave nothing
        over = consent.expires_at is not None and consent.expires_at <= now
        if over or not consent.keep_probes:
            return False
        if consent.state is None or consent.state is OperationState.SUCCEEDED:
            return True
    return False
