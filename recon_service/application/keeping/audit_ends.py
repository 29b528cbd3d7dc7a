"""The end of the audit log, noted beside the database from time to time.

Who can write to the database can cut off the newest entries and set the end back with them, and nothing in
the database tells. The note in the object store does: the log has to hold the entry that it names. A restore
from a backup cuts entries off too; whoever did that on purpose says so with ``accept_end``.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Final

from recon_service.application.keeping.audit import AuditVerdict, record_alone, verify_audit
from recon_service.application.ports.stores import Stores
from recon_service.application.records.audit import AuditHead
from recon_service.domain.errors import NotFound, StorageFault

PREFIX: Final = "audit-ends/"


def noted_end(*, on: Stores) -> AuditHead | None:
    """The newest that was noted by this service. Raises StorageFault."""
    for key in sorted(on.objects.list_keys(PREFIX), reverse=True):
        with suppress(ValueError, NotFound):
            note = json.loads(on.objects.get(key))
            found = AuditHead(int(key.removeprefix(PREFIX)), str(note["digest"]))
            if hmac.compare_digest(str(note["authentication"]).encode(), _authentication(found, on).encode()):
                return found
    return None


def note_end(*, on: Stores) -> AuditHead | None:
    """Note where the log ends by now. Where it does not hold the end of before any more, nothing is noted,
    and that end is returned. Raises StorageFault.
    """
    before = noted_end(on=on)
    with on.database.snapshot() as tx:
        head = tx.audit.head() or AuditHead(0, "")
        held = (
            next(islice(tx.audit.entries(after=before.sequence - 1), 1), None) if before is not None else None
        )
    if before is not None and (
        held is None or (held.sequence, held.digest) != (before.sequence, before.digest)
    ):
        return before
    if head.sequence and (before is None or head.sequence > before.sequence):
        older = list(on.objects.list_keys(PREFIX))
        content = {"digest": head.digest, "authentication": _authentication(head, on)}
        on.objects.put(f"{PREFIX}{head.sequence:015d}", json.dumps(content).encode())
        if older:
            on.objects.delete(*older)
    return None


def check_audit(
    *,
    on: Stores,
    since: AuditHead | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AuditVerdict:
    """Every entry, and the ends that were noted: beside the database, where the object store answers, and by
    the operator (since). progress: as for ``verify_audit``.
    """
    ends = [since] if since is not None else []
    with suppress(StorageFault):
        if (noted := noted_end(on=on)) is not None:
            ends.append(noted)
    return verify_audit(on=on, ends=ends, progress=progress)


def accept_end(*, actor: str, on: Stores) -> None:
    """The log is as it should be, though entries are missing that were noted: after a restore. Raises
    StorageFault.
    """
    before = noted_end(on=on)
    if noted := list(on.objects.list_keys(PREFIX)):
        on.objects.delete(*noted)
    missing = f"noted {before.sequence}" if before is not None else "nothing noted"
    record_alone(on=on, action="audit.end-accepted", actor=actor, outcome=missing)
    note_end(on=on)


def _authentication(end: AuditHead, on: Stores) -> str:
    return on.vault.digest("audit-end", str(end.sequence).encode(), end.digest.encode())
