"""Keys of the service itself, by name: made when first asked for, the same ever after."""

from __future__ import annotations

from recon_service.application.ports.records import SERVICE_OWNER
from recon_service.application.ports.stores import Stores
from recon_service.application.records.subjects import WrappedKey
from recon_service.domain.errors import Conflict


def service_key(name: str, *, on: Stores) -> WrappedKey:
    """Whatever master key wraps it. Raises StorageFault."""
    with on.database.snapshot() as tx:
        key = tx.wrapped_keys.service_key(name)
    if key is None:
        key = on.vault.new_key(SERVICE_OWNER)
        try:
            with on.database.transaction() as tx:
                tx.wrapped_keys.add_service_key(name, key)
        except Conflict:  # another process was faster
            with on.database.snapshot() as tx:
                key = tx.wrapped_keys.service_key(name) or key
    return key
