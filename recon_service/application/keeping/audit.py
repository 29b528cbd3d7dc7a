"""The audit log: who did what to which subject, and when. Written in the transaction of what it speaks of.

Each entry carries a keyed digest over itself and the digest before it: who can write to the database but has
no key can neither change, remove, insert nor reorder entries without a trace. The end is kept in a row of its
own, so that entries missing there show too, unless that row was set back with them: against that, and a whole
database that was set back, the end is noted elsewhere (``audit_ends``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.audit import AuditEntry, AuditHead
from recon_service.domain.errors import StorageFault

SERVICE: Final = "service"
"""The actor of what nobody asked for."""
COMMAND_LINE: Final = "command-line"
LOOKED_AT: Final = 20_000
"""Entries that are checked in one snapshot."""


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What checking the log gave. broken: number of the first entry that is not as it was written (or is
    missing), None when the whole log holds. head: its end.
    """

    entries: int
    broken: int | None
    detail: str
    head: AuditHead


def record(
    tx: Transaction,
    *,
    on: Stores,
    action: str,
    actor: str,
    subject_id: str = "",
    object_id: str = "",
    outcome: Sequence[str] = (),
) -> None:
    """Add an entry, last in its transaction: from here on others wait for its end. Raises StorageFault."""
    said = " ".join(outcome)
    record_many(tx, [(subject_id, object_id, said)], on=on, action=action, actor=actor)


def record_many(
    tx: Transaction, done: Sequence[tuple[str, str, str]], *, on: Stores, action: str, actor: str
) -> None:
    """The same thing done to several: (subject, object, outcome) of each. Raises StorageFault."""
    if not done:
        return
    head = tx.audit.head(lock=True)
    if head is None:
        raise StorageFault(
            "the end of the audit log is missing", next_step="Restore the table audit_head from a backup."
        )
    entries = []
    for subject_id, object_id, outcome in done:
        entry = AuditEntry(
            sequence=head.sequence + 1,
            at=on.clock(),
            actor=actor[:100],
            action=action,
            subject=subject_digest(subject_id, on=on) if subject_id else "",
            object_id=object_id[:64],
            outcome=outcome[:200],
        )
        entries.append(replace(entry, digest=_digest(entry, head.digest, on)))
        head = AuditHead(entry.sequence, entries[-1].digest)
    tx.audit.add(*entries)


def record_alone(
    *, on: Stores, action: str, actor: str, subject_id: str = "", object_id: str = "", outcome: str = ""
) -> None:
    """For what changes nothing else. Raises StorageFault."""
    with on.database.transaction() as tx:
        record(
            tx,
            on=on,
            action=action,
            actor=actor,
            subject_id=subject_id,
            object_id=object_id,
            outcome=(outcome,) if outcome else (),
        )


def subject_digest(subject_id: str, *, on: Stores) -> str:
    """How the log names a subject; nobody without the key can tell whose it is, also after a deletion."""
    return on.vault.digest("subject", subject_id.encode())


def operation_digest(operation_id: str, *, on: Stores) -> str:
    """How the log names an operation, which ends with its subject."""
    return on.vault.digest("operation", operation_id.encode())


def verify_audit(
    *,
    on: Stores,
    ends: Sequence[AuditHead] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AuditVerdict:
    """Check every entry. ends: that were noted before; the log must still hold them. progress: hears how many
    entries of how many were looked at, where they are many.

    The log is read in several snapshots, for one that stays open for minutes is in the way of the database.
    What is added meanwhile is checked too: the last of them holds the end of the log and all before it.
    """
    before, count, looked_at = AuditHead(0, ""), 0, LOOKED_AT
    noted = {end.sequence for end in ends}
    while looked_at == LOOKED_AT:
        looked_at = 0
        with on.database.snapshot() as tx:
            head = tx.audit.head()
            for entry in islice(tx.audit.entries(after=before.sequence), LOOKED_AT):
                looked_at += 1
                if entry.sequence != before.sequence + 1:
                    return AuditVerdict(count, before.sequence + 1, "is missing", before)
                if entry.digest != _digest(entry, before.digest, on):
                    return AuditVerdict(count, entry.sequence, "was altered", before)
                before, count = AuditHead(entry.sequence, entry.digest), count + 1
                if entry.sequence in noted and any(_differs(before, end) for end in ends):
                    return AuditVerdict(count, entry.sequence, "is not the one that was noted", before)
        if looked_at == LOOKED_AT and head is not None:
            progress(count, head.sequence)
    if any(end.sequence > before.sequence for end in ends):
        return AuditVerdict(count, before.sequence + 1, "was there before and is missing", before)
    if head != before:
        return AuditVerdict(count, before.sequence + 1, "is missing, by the end of the log", before)
    return AuditVerdict(count, None, "", before)


def _differs(found: AuditHead, noted: AuditHead) -> bool:
    return found.sequence == noted.sequence and found.digest != noted.digest


def _digest(entry: AuditEntry, before: str, on: Stores) -> str:
    return on.vault.digest("audit", before.encode(), *entry.statement())
