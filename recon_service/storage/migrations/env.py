"""What Alembic runs to reach the database: the engine comes in by ``schema.alembic_config``."""

from __future__ import annotations

from alembic import context

from recon_service.storage.tables import metadata

with context.config.attributes["engine"].begin() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    context.run_migrations()
