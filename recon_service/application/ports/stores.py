"""What every use case that keeps something stands on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from recon_service.application.ports.database import Database
from recon_service.application.ports.objects import ObjectStore
from recon_service.application.ports.vault import TemplateFormat, Vault


def utc_now() -> datetime:
    """The clock of this process."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Stores:
    """What every use case that keeps something stands on; made once by the composition root. clock: that all
    processes of the service share, for they judge by it what another one has written.
    """

    database: Database
    objects: ObjectStore
    vault: Vault
    template_format: TemplateFormat
    clock: Callable[[], datetime] = utc_now
