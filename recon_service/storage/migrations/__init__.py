"""Alembic migrations, numbered; each can be undone."""
