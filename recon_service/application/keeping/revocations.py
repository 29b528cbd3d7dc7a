"""Revocations beside the database: a restore from a backup must not make a revoked API key good again.

As with tombstones of subjects, a note of each revocation lies in the object store, which is not restored
together with the database. A note counts only if its authentication is ours: a forged one revokes nothing.
"""

from __future__ import annotations

import hmac
import json
from contextlib import suppress
from typing import Final

from recon_service.application.keeping.audit import SERVICE, record
from recon_service.application.ports.stores import Stores
from recon_service.domain.errors import NotFound, StorageFault

PREFIX: Final = "revocations/"
REAPPLIED: Final = "reapplied"
"""What the audit log says of a key that a restore had brought back."""


def note_revocation(key_id: str, *, on: Stores) -> None:
    """After the commit. Never raises StorageFault: ``reapply_revocations`` writes what is missing."""
    with suppress(StorageFault):
        on.objects.put(PREFIX + key_id, json.dumps({"authentication": _authentication(key_id, on)}).encode())


def reapply_revocations(*, on: Stores) -> int:
    """Revoke again every key that was revoked and is not; how many. Raises StorageFault."""
    with on.database.snapshot() as tx:
        keys = tx.api_keys.all()
    noted = {name.removeprefix(PREFIX) for name in on.objects.list_keys(PREFIX)}
    again = 0
    for key in keys:
        if key.revoked_at is not None and key.key_id not in noted:
            note_revocation(key.key_id, on=on)
        elif key.revoked_at is None and key.key_id in noted and _is_ours(key.key_id, on):
            with on.database.transaction() as tx:
                if tx.api_keys.revoke(key.key_id, now=on.clock()):
                    record(
                        tx,
                        on=on,
                        action="api-key.revoked",
                        actor=SERVICE,
                        object_id=key.key_id,
                        outcome=(REAPPLIED,),
                    )
                    again += 1
    return again


def _is_ours(key_id: str, on: Stores) -> bool:
    try:
        note = json.loads(on.objects.get(PREFIX + key_id))
    except (ValueError, NotFound):
        return False
    said = note.get("authentication") if isinstance(note, dict) else None
    return isinstance(said, str) and hmac.compare_digest(said.encode(), _authentication(key_id, on).encode())


def _authentication(key_id: str, on: Stores) -> str:
    return on.vault.digest("revocation", key_id.encode())
