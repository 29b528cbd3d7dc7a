"""The SQL tables. What a row says of a person beyond ids and dates is encrypted with the key of that person.

``migrations/`` creates them; a test holds the two equal.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

SUBJECT_ID = sa.String(64)
EPOCH = "1970-01-01 00:00:00"
ID = sa.String(64)
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""Of what never ends."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite, which knows no time zones, keeps it naive."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To the database."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("subject_id", SUBJECT_ID, primary_key=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # Grows with every change of the subject's templates.
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
)

subject_keys = sa.Table(
    "subject_keys",
    metadata,
    sa.Column(
        "subject_id", SUBJECT_ID, sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("key_id", ID, nullable=False, unique=True),
    sa.Column("master_key_id", ID, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("operation_id", ID, primary_key=True),
    sa.Column(
        "subject_id",
        SUBJECT_ID,
        sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("stage", sa.String(32), nullable=False),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("consent_id", sa.String(200), nullable=False),
    sa.Column("keep_selfies", sa.Boolean, nullable=False),
    sa.Column("keep_evidence", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("claim_token", ID, nullable=True),
    sa.Column("selfies", sa.JSON, nullable=False),
    sa.Column("template_id", ID, nullable=True),
    sa.Column("problem", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime, nullable=True),
    sa.Column("lane", sa.String(16), nullable=False, server_default="interactive"),
    # Not before this moment is it to be run; how long it has waited counts from here.
    sa.Column("queued_at", UtcDateTime, nullable=False, server_default=EPOCH),
    # When its message went to the broker; null while it waits in this row, which is the outbox.
    sa.Column("published_at", UtcDateTime, nullable=True),
    # When it was given up for a fault of ours; null again when it is buried.
    sa.Column("dead_at", UtcDateTime, nullable=True),
    sa.Column("backend", sa.String(32), nullable=False, server_default="facemesh"),
    # The W3C trace context of the request: worker and child go on with it.
    sa.Column("traceparent", sa.String(64), nullable=False, server_default=""),
    # Among the operations of its subject, in the order in which they were put on record.
    sa.Column("number", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_operations_state_queued_at", "state", "queued_at"),
    sa.Index("ix_operations_dead_at", "dead_at"),
    sa.Index("ix_operations_ended_at", "ended_at"),
)

selfies = sa.Table(
    "selfies",
    metadata,
    sa.Column(
        "operation_id", ID, sa.ForeignKey("operations.operation_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("object_key", sa.String(200), nullable=False, unique=True),
)

# Objects that no other row owns: listed before an upload and when their owner lets go of them, so that no
# crash can leave an object that nobody knows of.
loose_objects = sa.Table(
    "loose_objects",
    metadata,
    sa.Column("object_key", sa.String(200), primary_key=True),
    sa.Column("doomed", sa.Boolean, nullable=False),  # to be deleted; else: an upload under way
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Index("ix_loose_objects_doomed_since", "doomed", "since"),
)

templates = sa.Table(
    "templates",
    metadata,
    sa.Column("template_id", ID, primary_key=True),
    sa.Column(
        "subject_id",
        SUBJECT_ID,
        sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    # Unique: however often an enrollment runs, it leaves one template. Null: no enrollment made it.
    sa.Column(
        "operation_id",
        ID,
        sa.ForeignKey("operations.operation_id", ondelete="CASCADE"),
        nullable=True,
        unique=True,
    ),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("source", sa.String(100), nullable=False),
    sa.Column("calibration", sa.String(100), nullable=False),
    sa.Column("quality", sa.Float, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, server_default="candidate"),
    sa.Column("origin", sa.String(16), nullable=False, server_default="enrollment"),
    sa.Column("parent_id", ID, nullable=True),
    # The operation whose pictures it was made of, directly or by derivation; null: it came by an import.
    sa.Column("enrolled_by", ID, nullable=True),
    sa.Column("activated_at", UtcDateTime, nullable=True),
    sa.Column("retired_at", UtcDateTime, nullable=True),
    # At most one of a subject is in force.
    sa.Index(
        "uq_templates_active",
        "subject_id",
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    ),
    sa.Index("ix_templates_state_retired_at", "state", "retired_at"),
    # All in force, page by page: SQLite would sort them for every page.
    sa.Index("ix_templates_state_template_id", "state", "template_id"),
    # How many of each there are, without a look into the table.
    sa.Index("ix_templates_kind", "model", "calibration", "source", "state"),
)

idempotency_records = sa.Table(
    "idempotency_records",
    metadata,
    sa.Column("api_key_id", ID, primary_key=True),
    sa.Column("idempotency_key", sa.String(200), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("subject_id", SUBJECT_ID, nullable=False, index=True),
    sa.Column("operation_id", ID, nullable=True),  # null: the request is being served
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=True),  # status and body, encrypted for the subject
    sa.Index("ix_idempotency_records_created_at", "created_at"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", ID, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("secret_sha256", sa.LargeBinary, nullable=False),
    sa.Column("development", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime, nullable=True),
)

deletion_receipts = sa.Table(
    "deletion_receipts",
    metadata,
    sa.Column("receipt_id", ID, primary_key=True),
    sa.Column("subject_digest", sa.String(64), nullable=False),
    sa.Column("deleted_at", UtcDateTime, nullable=False),
    sa.Column("templates", sa.Integer, nullable=False),
    sa.Column("operations", sa.Integer, nullable=False),
    sa.Column("objects", sa.Integer, nullable=False),
    sa.Column("keys", sa.Integer, nullable=False),
    sa.Column("authentication", sa.String(64), nullable=False),
    # When its tombstone was written to the object store.
    sa.Column("exported_at", UtcDateTime, nullable=True),
    sa.Index("ix_deletion_receipts_exported_at", "exported_at"),
    sa.Index("ix_deletion_receipts_subject_digest", "subject_digest"),
)

# Requests of an API key within the current minute.
request_counters = sa.Table(
    "request_counters",
    metadata,
    sa.Column("name", ID, primary_key=True),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("used", sa.Integer, nullable=False),
)

# Verifications without a match, per subject (its keyed digest) and per API key.
failure_counters = sa.Table(
    "failure_counters",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("name", ID, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("locked_until", UtcDateTime, nullable=True),
    sa.Index("ix_failure_counters_locked_until", "locked_until"),
    sa.Index("ix_failure_counters_since", "since"),
)

# Triggers refuse to change or remove its rows; each digest covers the one before.
audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("sequence", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("object_id", ID, nullable=False),
    sa.Column("outcome", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Index("ix_audit_log_subject_sequence", "subject", "sequence"),
    sa.Index("ix_audit_log_action_sequence", "action", "sequence"),
)

# One row: the end of the log, and the lock of those who add to it.
audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("sequence", NUMBER, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)

# Keys that belong to no subject, wrapped by the master key.
service_keys = sa.Table(
    "service_keys",
    metadata,
    sa.Column("name", ID, primary_key=True),
    sa.Column("key_id", ID, nullable=False),
    sa.Column("master_key_id", ID, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)
