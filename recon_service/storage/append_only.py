"""Triggers that refuse to change or remove rows of a table. Who owns the database can drop them; what they
then do shows in the chain of digests.
"""

from __future__ import annotations

from collections.abc import Callable


def protect(table: str, execute: Callable[[str], object], dialect: str) -> None:
    """Rows of ``table`` can only be added from now on."""
    for statement in _POSTGRESQL if dialect == "postgresql" else _SQLITE:
        execute(statement.replace("{table}", table))


def unprotect(table: str, execute: Callable[[str], object], dialect: str) -> None:
    """Drop the triggers of ``protect``."""
    if dialect == "postgresql":
        for name in ("rows", "truncate"):
            execute(f"DROP TRIGGER {table}_append_only_{name} ON {table}")
        execute(f"DROP FUNCTION {table}_refuse()")
    else:
        for event in ("update", "delete"):
            execute(f"DROP TRIGGER {table}_append_only_{event}")


_SQLITE = tuple(
    f"CREATE TRIGGER {{table}}_append_only_{event} BEFORE {event} ON {{table}} "
    "BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    for event in ("update", "delete")
)
_POSTGRESQL = (
    "CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
    "CREATE TRIGGER {table}_append_only_rows BEFORE UPDATE OR DELETE ON {table} "
    "FOR EACH ROW EXECUTE FUNCTION {table}_refuse()",
    "CREATE TRIGGER {table}_append_only_truncate BEFORE TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()",
)
