"""Consents, and what tells whether a clock can be believed."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from recon_service.application.records.consents import Consent


class Consents(Protocol):
    """See ``application.consents``."""

    def add(self, consent: Consent) -> None: ...

    def of_subject(self, subject_id: str) -> list[Consent]:
        """Oldest first, each with the state of its enrollment."""
        ...

    def ended(
        self, *, expired_before: datetime, given_before: datetime | None, limit: int, after: str = ""
    ) -> list[str]:
        """Subjects, in order of their ids and after ``after``, with a consent that was not swept and expired
        before that moment or was given before ``given_before``.
        """
        ...

    def mark_swept(self, consent_row: str) -> None: ...

    def destroy_templates(self, operation_id: str) -> list[str]:
        """Remove the templates of an enrollment that are not in force; their ids."""
        ...

    def now(self) -> datetime:
        """By the clock of the database."""
        ...

    def note_time(self, wall: datetime) -> datetime | None:
        """Keep the time of a sweep; the one that was kept before."""
        ...
