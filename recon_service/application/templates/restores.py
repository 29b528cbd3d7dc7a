"""After a restore: whoever was deleted since the backup is deleted again.

A start of the service, or `recon subjects reapply-deletions`, deletes every subject that a receipt speaks of
and that was enrolled before its deletion. A receipt counts only if its authentication is ours: a forged one
deletes nobody. One that the database knows has nothing more to do: it came with the deletion itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from recon_service.application.ports.stores import Stores
from recon_service.application.records.subjects import DeletionReceipt
from recon_service.application.templates.subjects import delete_subject
from recon_service.application.templates.tombstones import PREFIX, is_ours, receipt_of_json
from recon_service.domain.errors import NotFound


@dataclass(frozen=True, slots=True)
class Reapplied:
    """receipts: that were looked at. refused: whose authentication is not ours. deleted: subjects that had
    come back.
    """

    receipts: int
    refused: int
    deleted: int


def stored_receipts(*, on: Stores) -> Iterator[DeletionReceipt]:
    """Of the tombstones that this database knows nothing of, because it is older than they are. Raises
    StorageFault.
    """
    with on.database.snapshot() as tx:
        known = tx.receipts.ids()
    for key in on.objects.list_keys(PREFIX):
        if key.removeprefix(PREFIX) in known:
            continue
        try:
            yield receipt_of_json(on.objects.get(key).decode())
        except (ValueError, NotFound):
            continue  # not a tombstone of ours


def reapply_deletions(receipts: Iterable[DeletionReceipt], *, actor: str, on: Stores) -> Reapplied:
    """Delete again whoever was deleted according to ``receipts`` and is there all the same."""
    unknown: list[DeletionReceipt] = []
    seen = refused = 0
    for receipt in receipts:
        seen += 1
        if not is_ours(receipt, on=on):
            refused += 1
        elif not _known(receipt, on):
            unknown.append(receipt)
    if not unknown:
        return Reapplied(seen, refused, 0)
    last: dict[str, datetime] = {}
    for receipt in sorted(unknown, key=lambda one: one.deleted_at):
        last[receipt.subject_digest] = receipt.deleted_at
    risen: list[str] = []
    with on.database.snapshot() as tx:
        for subject_id, enrolled_at in tx.subjects.enrolled_since():
            deleted_at = last.get(on.vault.digest("subject", subject_id.encode()))
            if deleted_at is not None and enrolled_at <= deleted_at:
                risen.append(subject_id)
    deleted = 0
    for subject_id in risen:
        try:
            delete_subject(subject_id, actor=actor, on=on)
            deleted += 1
        except NotFound:  # another process was faster
            continue
    with on.database.transaction() as tx:
        for receipt in unknown:
            if tx.receipts.get(receipt.receipt_id) is None:
                tx.receipts.add(receipt)
    return Reapplied(seen, refused, deleted)


def _known(receipt: DeletionReceipt, on: Stores) -> bool:
    with on.database.snapshot() as tx:
        return tx.receipts.get(receipt.receipt_id) is not None
