"""The database as a whole: transactions over everything that it keeps."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from recon_service.application.ports.batches import Batches, BatchItems, KeptEvidence, Workers
from recon_service.application.ports.captures import CaptureSessions
from recon_service.application.ports.consents import Consents
from recon_service.application.ports.edge import EdgeSites
from recon_service.application.ports.enrollments import LooseObjects, Operations, Selfies, Subjects, Templates
from recon_service.application.ports.kiosks import KioskSessions
from recon_service.application.ports.records import AuditLog, Receipts, WrappedKeys
from recon_service.application.ports.references import References
from recon_service.application.ports.requests import ApiKeys, Idempotency, Limits
from recon_service.application.ports.webhooks import Webhooks


class Transaction(Protocol):
    """Everything in the database, within one transaction."""

    @property
    def subjects(self) -> Subjects: ...
    @property
    def operations(self) -> Operations: ...
    @property
    def selfies(self) -> Selfies: ...
    @property
    def loose_objects(self) -> LooseObjects: ...
    @property
    def templates(self) -> Templates: ...
    @property
    def references(self) -> References: ...
    @property
    def edge(self) -> EdgeSites: ...
    @property
    def idempotency(self) -> Idempotency: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def receipts(self) -> Receipts: ...
    @property
    def audit(self) -> AuditLog: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def kiosk_sessions(self) -> KioskSessions: ...
    @property
    def consents(self) -> Consents: ...
    @property
    def captures(self) -> CaptureSessions: ...
    @property
    def wrapped_keys(self) -> WrappedKeys: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def batches(self) -> Batches: ...
    @property
    def batch_items(self) -> BatchItems: ...
    @property
    def kept_evidence(self) -> KeptEvidence: ...
    @property
    def workers(self) -> Workers: ...


class Database(Protocol):
    """Transactions: committed when the block ends, rolled back when it raises. Technical failures come out
    as StorageFault.
    """

    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """For reading only; does not wait for writers."""
        ...

    def check(self) -> None:
        """Raises StorageFault unless the database answers."""
        ...
