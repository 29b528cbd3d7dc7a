"""Tombstones: a restore from a backup must not bring a deleted subject back.

The receipt of every deletion is also written to the object store, which is not restored together with the
database, and given to whoever asked for the deletion. ``restores.py`` reads them.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from recon_service.application.ports.stores import Stores
from recon_service.application.records.subjects import DeletionReceipt

PREFIX: Final = "tombstones/"
EXPORTED_AT_ONCE: Final = 500


def export_tombstones(*, on: Stores) -> int:
    """Write the receipts that are not in the object store yet; how many. Raises StorageFault; the next call
    does the rest.
    """
    with on.database.snapshot() as tx:
        waiting = tx.receipts.unexported(limit=EXPORTED_AT_ONCE)
    for receipt in waiting:
        on.objects.put(f"{PREFIX}{receipt.receipt_id}", receipt_json(receipt).encode())
        with on.database.transaction() as tx:
            tx.receipts.mark_exported(receipt.receipt_id, now=on.clock())
    return len(waiting)


def is_ours(receipt: DeletionReceipt, *, on: Stores) -> bool:
    """Whether this service signed the receipt and nobody has changed it."""
    expected = on.vault.digest("receipt", *receipt.statement())
    return hmac.compare_digest(expected.encode(), receipt.authentication.encode())


def receipt_json(receipt: DeletionReceipt) -> str:
    """One line of JSON."""
    return json.dumps({**asdict(receipt), "deleted_at": receipt.deleted_at.isoformat()})


def receipt_of_json(text: str) -> DeletionReceipt:
    """Of ``receipt_json``, or of the API's answer. Raises ValueError."""
    found: Any = json.loads(text)
    try:
        return DeletionReceipt(
            receipt_id=str(found["receipt_id"]),
            subject_digest=str(found["subject_digest"]),
            deleted_at=datetime.fromisoformat(found["deleted_at"]),
            authentication=str(found["authentication"]),
            **{n: int(found[n]) for n in ("templates", "operations", "objects", "keys")},
        )
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError("not a receipt") from fault
