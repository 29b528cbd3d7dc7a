"""The key by which others know what comes from this service."""

from __future__ import annotations

from typing import Final

from recon_service.application.keeping.service_keys import service_key
from recon_service.application.ports.stores import Stores
from recon_service.application.ports.vault import Signer

SIGNING_KEY: Final = "signing"
"""Its name among the service's keys."""


def service_signer(*, on: Stores) -> Signer:
    """Made at the first call; the same ever after, whatever master key wraps it. Raises StorageFault."""
    return on.vault.signer(service_key(SIGNING_KEY, on=on))
