"""The key by which others know what comes from this service."""

from __future__ import annotations

from typing import Final

from recon_service.application.ports.records import SERVICE_OWNER
from recon_service.application.ports.stores import Stores
from recon_service.application.ports.vault import Signer
from recon_service.domain.errors import Conflict

SIGNING_KEY: Final = "signing"
"""Its name among the service's keys."""


def service_signer(*, on: Stores) -> Signer:
    """Made at the first call; the same ever after, whatever master key wraps it. Raises StorageFault."""
    with on.database.snapshot() as tx:
        key = tx.wrapped_keys.service_key(SIGNING_KEY)
    if key is None:
        key = on.vault.new_key(SERVICE_OWNER)
        try:
            with on.database.transaction() as tx:
                tx.wrapped_keys.add_service_key(SIGNING_KEY, key)
        except Conflict:  # another process was faster
            with on.database.snapshot() as tx:
                key = tx.wrapped_keys.service_key(SIGNING_KEY) or key
    return on.vault.signer(key)
