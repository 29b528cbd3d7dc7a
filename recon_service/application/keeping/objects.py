"""Deleting objects so that none is left behind: their names are in the database until they are gone."""

from __future__ import annotations

from collections.abc import Sequence

from recon_service.application.ports.stores import Stores
from recon_service.domain.errors import StorageFault


def delete_doomed(keys: Sequence[str], *, on: Stores) -> int:
    """Delete objects that the last transaction doomed; how many are gone.

    Never raises StorageFault: what is still there stays on the list, and the sweeper comes back to it. What
    the store will not let go of goes to the end of the list, so that it holds up nothing else.
    """
    if not keys:
        return 0
    try:
        stuck = on.objects.delete(*keys)
        gone = sorted(set(keys) - set(stuck))
        with on.database.transaction() as tx:
            tx.loose_objects.drop(gone)
            tx.loose_objects.doom(stuck, now=on.clock())
    except StorageFault:
        return 0
    return len(gone)
