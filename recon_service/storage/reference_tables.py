"""The tables of the search among all references: what changed, and what looked like a duplicate."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from recon_service.storage.tables import ID, SUBJECT_ID, UtcDateTime, metadata

# One row: the number of the last change.
reference_head = sa.Table(
    "reference_head",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False),
)

# Every template that became active, or was and is not any more, or is and lost a version that could stand in
# for it, in the order of the commits. The id of a template alone: after a deletion it names nobody.
reference_changes = sa.Table(
    "reference_changes",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("template_id", ID, nullable=False),
)

# Somebody enrolled who looks like somebody else that is. Goes with either of the two.
duplicate_findings = sa.Table(
    "duplicate_findings",
    metadata,
    sa.Column(
        "operation_id", ID, sa.ForeignKey("operations.operation_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("template_id", ID, primary_key=True),  # of the other one
    sa.Column(
        "subject_id",
        SUBJECT_ID,
        sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column(
        "other_subject_id",
        SUBJECT_ID,
        sa.ForeignKey("subjects.subject_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("llr", sa.Float, nullable=False),
    sa.Column("found_at", UtcDateTime, nullable=False, index=True),
)


def watch_templates(execute: Callable[[str], object], dialect: str) -> None:
    """From now on every change of what is active goes into ``reference_changes``, whoever makes it."""
    for statement in _POSTGRESQL if dialect == "postgresql" else _SQLITE:
        execute(statement)


def unwatch_templates(execute: Callable[[str], object], dialect: str) -> None:
    """Drop the triggers."""
    if dialect == "postgresql":
        execute("DROP TRIGGER templates_note_reference ON templates")
        execute("DROP FUNCTION templates_note_reference()")
    else:
        for event in _EVENTS:
            execute(f"DROP TRIGGER templates_note_{event.split()[0].lower()}")


def watch_former_versions(execute: Callable[[str], object], dialect: str) -> None:
    """From now on the destruction of a version that may have stood in for the one in force, or been between
    that and the one in force, is a change of the one in force.
    """
    for statement in _FORMER_POSTGRESQL if dialect == "postgresql" else _FORMER_SQLITE:
        execute(statement)


def unwatch_former_versions(execute: Callable[[str], object], dialect: str) -> None:
    """Drop that trigger."""
    if dialect == "postgresql":
        execute("DROP TRIGGER templates_note_former ON templates")
        execute("DROP FUNCTION templates_note_former()")
    else:
        execute("DROP TRIGGER templates_note_former")


_EVENTS = {
    "INSERT": ("NEW.state = 'active'", "NEW"),
    "UPDATE OF state": ("OLD.state <> NEW.state AND 'active' IN (OLD.state, NEW.state)", "NEW"),
    "DELETE": ("OLD.state = 'active'", "OLD"),
}
_SQLITE = tuple(
    f"CREATE TRIGGER templates_note_{event.split()[0].lower()} AFTER {event} ON templates WHEN {when} BEGIN "
    "UPDATE reference_head SET sequence = sequence + 1; "
    f"INSERT INTO reference_changes SELECT sequence, {row}.template_id FROM reference_head; END"
    for event, (when, row) in _EVENTS.items()
)
# Deferred to the commit: the row of the head is then the last that a transaction waits for, so that two of
# them cannot wait for each other, and numbers are given in the order of the commits.
_POSTGRESQL = (
    "CREATE FUNCTION templates_note_reference() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "DECLARE number integer; BEGIN "
    "IF TG_OP = 'INSERT' AND NEW.state <> 'active' THEN RETURN NULL; END IF; "
    "IF TG_OP = 'DELETE' AND OLD.state <> 'active' THEN RETURN NULL; END IF; "
    "IF TG_OP = 'UPDATE' THEN "
    "IF OLD.state = NEW.state OR (OLD.state <> 'active' AND NEW.state <> 'active') THEN RETURN NULL; END IF; "
    "END IF; "
    "UPDATE reference_head SET sequence = sequence + 1 RETURNING sequence INTO number; "
    "IF TG_OP = 'DELETE' THEN INSERT INTO reference_changes VALUES (number, OLD.template_id); "
    "ELSE INSERT INTO reference_changes VALUES (number, NEW.template_id); END IF; "
    "RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER templates_note_reference AFTER INSERT OR UPDATE OR DELETE ON templates "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION templates_note_reference()",
)
# Where all versions are of one model and calibration none stands in for another, and nothing is noted.
_IN_FORCE = (
    "SELECT a.template_id FROM templates a WHERE a.subject_id = OLD.subject_id AND a.state = 'active' AND ("
    "a.model <> OLD.model OR a.calibration <> OLD.calibration OR EXISTS (SELECT 1 FROM templates o WHERE "
    "o.subject_id = a.subject_id AND o.state = 'retired' "
    "AND (o.model <> a.model OR o.calibration <> a.calibration)))"
)
_FORMER_SQLITE = (
    "CREATE TRIGGER templates_note_former AFTER DELETE ON templates "
    f"WHEN OLD.state = 'retired' AND EXISTS ({_IN_FORCE}) BEGIN "
    "UPDATE reference_head SET sequence = sequence + 1; "
    f"INSERT INTO reference_changes SELECT sequence, ({_IN_FORCE}) FROM reference_head; END",
)
# Deferred as the other one.
_FORMER_POSTGRESQL = (
    "CREATE FUNCTION templates_note_former() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "DECLARE number integer; in_force text; BEGIN "
    f"in_force := ({_IN_FORCE}); "
    "IF in_force IS NULL THEN RETURN NULL; END IF; "
    "UPDATE reference_head SET sequence = sequence + 1 RETURNING sequence INTO number; "
    "INSERT INTO reference_changes VALUES (number, in_force); "
    "RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER templates_note_former AFTER DELETE ON templates "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state = 'retired') "
    "EXECUTE FUNCTION templates_note_former()",
)
