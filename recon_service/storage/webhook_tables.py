"""Tables of the webhooks: where events are sent, and those on their way."""

from __future__ import annotations

import sqlalchemy as sa

from recon_service.storage.tables import ID, UtcDateTime, metadata

webhook_endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    sa.Column("endpoint_id", ID, primary_key=True),
    sa.Column("url", sa.String(500), nullable=False),
    sa.Column("kinds", sa.JSON, nullable=False),
    sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String(100), nullable=False),
)

webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("delivery_id", ID, primary_key=True),
    sa.Column(
        "endpoint_id",
        ID,
        sa.ForeignKey("webhook_endpoints.endpoint_id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("event_id", ID, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("fault", sa.String(64), nullable=False),
    sa.Column("ended_at", UtcDateTime, nullable=True),
    sa.Index("ix_webhook_deliveries_state_due_at", "state", "due_at"),
    sa.Index("ix_webhook_deliveries_ended_at", "ended_at"),
    sa.Index("ix_webhook_deliveries_endpoint_id_created_at", "endpoint_id", "created_at"),
)
