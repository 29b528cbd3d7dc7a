"""The database behind the port ``Database``: SQLite in a file for one machine, PostgreSQL for several."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from recon_service.application.errors import StorageUnavailable
from recon_service.application.ports.stores import utc_now
from recon_service.domain.errors import Conflict, InvalidValue, StorageFault
from recon_service.storage.access import SqlApiKeys, SqlIdempotency, SqlReceipts
from recon_service.storage.audit import SqlAuditLog
from recon_service.storage.batch_items import SqlBatchItems
from recon_service.storage.batches import SqlBatches
from recon_service.storage.captures import SqlCaptureSessions
from recon_service.storage.consents import SqlConsents
from recon_service.storage.database_clock import DatabaseClock
from recon_service.storage.edge import SqlEdgeSites
from recon_service.storage.evaluations import SqlEvaluations
from recon_service.storage.identities import SqlSelfies, SqlSubjects
from recon_service.storage.jobs import SqlOperations
from recon_service.storage.kiosks import SqlKioskSessions
from recon_service.storage.limits import SqlLimits
from recon_service.storage.loose_objects import SqlLooseObjects
from recon_service.storage.probes import SqlRecentProbes
from recon_service.storage.reenrollment_material import SqlKeptEvidence, SqlWorkers
from recon_service.storage.references import SqlReferences
from recon_service.storage.service_keys import SqlWrappedKeys
from recon_service.storage.templates import SqlTemplates
from recon_service.storage.webhooks import SqlWebhooks
from recon_service.storage.withdrawals import SqlWithdrawals


class SqlTransaction:
    """All repositories on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @cached_property
    def subjects(self) -> SqlSubjects:
        """Subjects and their keys."""
        return SqlSubjects(self._connection)

    @cached_property
    def operations(self) -> SqlOperations:
        """Jobs."""
        return SqlOperations(self._connection)

    @cached_property
    def selfies(self) -> SqlSelfies:
        """Where selfies lie."""
        return SqlSelfies(self._connection)

    @cached_property
    def loose_objects(self) -> SqlLooseObjects:
        """Objects that no other row owns."""
        return SqlLooseObjects(self._connection)

    @cached_property
    def templates(self) -> SqlTemplates:
        """Encrypted templates."""
        return SqlTemplates(self._connection)

    @cached_property
    def references(self) -> SqlReferences:
        """Everybody's active templates, and what changed among them."""
        return SqlReferences(self._connection)

    @cached_property
    def edge(self) -> SqlEdgeSites:
        """Sites, their kiosks and bundles."""
        return SqlEdgeSites(self._connection)

    @cached_property
    def idempotency(self) -> SqlIdempotency:
        """Idempotency-Keys."""
        return SqlIdempotency(self._connection)

    @cached_property
    def api_keys(self) -> SqlApiKeys:
        """API keys."""
        return SqlApiKeys(self._connection)

    @cached_property
    def receipts(self) -> SqlReceipts:
        """Receipts of deletions."""
        return SqlReceipts(self._connection)

    @cached_property
    def withdrawals(self) -> SqlWithdrawals:
        """What was taken back."""
        return SqlWithdrawals(self._connection)

    @cached_property
    def audit(self) -> SqlAuditLog:
        """What was done."""
        return SqlAuditLog(self._connection)

    @cached_property
    def limits(self) -> SqlLimits:
        """Counters of requests and failures."""
        return SqlLimits(self._connection)

    @cached_property
    def evaluations(self) -> SqlEvaluations:
        """Of batches."""
        return SqlEvaluations(self._connection)

    @cached_property
    def recent_probes(self) -> SqlRecentProbes:
        """What verifications saw, by consent."""
        return SqlRecentProbes(self._connection)

    @cached_property
    def kiosk_sessions(self) -> SqlKioskSessions:
        """Kiosk sessions and captures that were seen."""
        return SqlKioskSessions(self._connection)

    @cached_property
    def captures(self) -> SqlCaptureSessions:
        """Capture sessions and their frames."""
        return SqlCaptureSessions(self._connection)

    @cached_property
    def consents(self) -> SqlConsents:
        """Until when what is stored may be."""
        return SqlConsents(self._connection)

    @cached_property
    def wrapped_keys(self) -> SqlWrappedKeys:
        """Whatever the master key wraps."""
        return SqlWrappedKeys(self._connection)

    @cached_property
    def webhooks(self) -> SqlWebhooks:
        """Whom events are sent to, and which are on their way."""
        return SqlWebhooks(self._connection)

    @cached_property
    def batches(self) -> SqlBatches:
        """Batches of re-enrollment."""
        return SqlBatches(self._connection)

    @cached_property
    def batch_items(self) -> SqlBatchItems:
        """Their items."""
        return SqlBatchItems(self._connection)

    @cached_property
    def kept_evidence(self) -> SqlKeptEvidence:
        """What enrollments saw, for other models."""
        return SqlKeptEvidence(self._connection)

    @cached_property
    def workers(self) -> SqlWorkers:
        """Workers that reported."""
        return SqlWorkers(self._connection)


class SqlDatabase:
    """Transactions on an engine. clock: that all processes on the database share: its own, or, of SQLite,
    that of the machine they all run on.
    """

    def __init__(self, engine: sa.Engine, *, own_clock: Callable[[], datetime] = utc_now) -> None:
        self.engine = engine
        self._shared = DatabaseClock(own_clock) if engine.dialect.name == "postgresql" else None
        self.clock = self._shared or own_clock
        self._reading: dict[str, Any] = {"recon_reads_only": True}
        if engine.dialect.name == "postgresql":
            self._reading |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """Committed at the end of the block, rolled back when it raises."""
        with _faults(), self.engine.begin() as connection:
            self._renew_clock(connection)
            yield SqlTransaction(connection)

    @contextmanager
    def snapshot(self) -> Iterator[SqlTransaction]:
        """For reading; it neither waits for a writer nor holds one up, and sees one moment throughout."""
        with (
            _faults(),
            self.engine.connect().execution_options(**self._reading) as connection,
            connection.begin(),
        ):
            self._renew_clock(connection)
            yield SqlTransaction(connection)

    def check(self) -> None:
        """Raises StorageFault unless the database answers."""
        with self.snapshot() as tx:
            tx.api_keys.get("")

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def _renew_clock(self, connection: sa.Connection) -> None:
        # On a connection that is there anyway: asking by another one, from within a transaction, could use up
        # the pool.
        if self._shared is not None:
            self._shared.renew(connection)


@contextmanager
def _faults() -> Iterator[None]:
    """SQLAlchemy's exceptions as ours; the statement's parameters never get into a message."""
    try:
        yield
    except exc.IntegrityError as fault:
        raise Conflict(
            "what was to be stored contradicts what is there", next_step="Send the request again."
        ) from fault
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as fault:
        # Not there, restarting, full, too slow, or in a deadlock: the same request may do a little later.
        raise StorageUnavailable(
            "the database does not answer", next_step="Send the request again; look at the database."
        ) from fault
    except exc.DataError as fault:
        # What PostgreSQL has no place for, as text with a NUL: nobody but a caller sends that.
        raise InvalidValue(
            "a value cannot be stored",
            next_step="Send text without control characters, and numbers in range.",
        ) from fault
    except (exc.SQLAlchemyError, sqlite3.Error) as fault:
        raise StorageFault(
            "the database failed", next_step="Look at the log and the disk of the database."
        ) from fault
