"""What outlives a subject: receipts, the audit log; and the keys that a master key wraps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol

from recon_service.application.records.audit import AuditEntry, AuditHead
from recon_service.application.records.subjects import DeletionReceipt, WrappedKey
from recon_service.application.records.withdrawals import Withdrawal

SERVICE_OWNER: Final = "recon:service"
"""Owner of the keys that belong to no subject: no subject can be called so, a colon is not allowed there."""


class Receipts(Protocol):
    """Receipts of deletions."""

    def add(self, receipt: DeletionReceipt) -> None: ...

    def get(self, receipt_id: str) -> DeletionReceipt | None: ...

    def unexported(self, *, limit: int) -> list[DeletionReceipt]:
        """Whose tombstones are not in the object store yet."""
        ...

    def last_deletion(self, subject_digest: str) -> datetime | None:
        """When that subject was deleted last; None: never."""
        ...

    def ids(self) -> set[str]:
        """Of every receipt."""
        ...

    def mark_exported(self, receipt_id: str, *, now: datetime) -> None: ...


class Withdrawals(Protocol):
    """What was taken back, and must not come back by a restore."""

    def add(self, withdrawal: Withdrawal, *, exported_at: datetime | None = None) -> None:
        """exported_at: where its note was found. Raises Conflict when it is known."""
        ...

    def ids(self) -> set[str]:
        """Of every one."""
        ...

    def unexported(self, *, limit: int) -> list[Withdrawal]:
        """Whose notes are not in the object store yet."""
        ...

    def mark_exported(self, withdrawal_id: str, *, now: datetime) -> None: ...


class AuditLog(Protocol):
    """What was done, in order, each entry chained to the one before."""

    def head(self, *, lock: bool = False) -> AuditHead | None:
        """The end. lock: nobody else adds an entry before this transaction ends. None: it was removed."""
        ...

    def add(self, *entries: AuditEntry) -> None:
        """In their order; the last one is the new end."""
        ...

    def outcomes(self, action: str, *, within: int) -> dict[str, int]:
        """How often an action had each outcome, among the last ``within`` entries of any action."""
        ...

    def entries(
        self, *, after: int = 0, subject: str | None = None, action: str | None = None
    ) -> Iterator[AuditEntry]:
        """In order."""
        ...

    def newest(self, subject: str, *, limit: int) -> list[AuditEntry]:
        """About that subject, the newest first."""
        ...


class WrappedKeys(Protocol):
    """Every key that a master key wraps."""

    def service_key(self, name: str, *, lock: bool = False) -> WrappedKey | None: ...

    def add_service_key(self, name: str, key: WrappedKey) -> None: ...

    def remove_service_key(self, name: str) -> None: ...

    def not_wrapped_by(self, master_key_id: str, *, limit: int, after: str = "") -> list[WrappedKey]: ...

    def rewrap(self, key: WrappedKey) -> None: ...

    def count_by_master(self) -> dict[str, int]: ...
