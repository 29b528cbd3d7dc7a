"""What Alembic runs to reach the database: the engine comes in by ``schema.alembic_config``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from recon_service.storage.tables import metadata

with context.config.attributes["engine"].begin() as connection:
    if connection.dialect.name == "postgresql":
        # Several processes start at once: one migrates, the others wait and find nothing to do. A migration
        # may take longer than a request.
        connection.execute(sa.text("SELECT set_config('statement_timeout', '0', true)"))
        connection.execute(sa.text("SELECT set_config('lock_timeout', '0', true)"))
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(491260473198)"))  # any fixed number
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    context.run_migrations()
