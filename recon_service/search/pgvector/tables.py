"""The tables of the index: what is searched, one table of vectors for each pair of kinds, and the trigger.
Sources of which some reference holds visits are noted, that only those have vectors of their own among the
cameras that the calibration does not know.

The trigger removes the vector in the transaction that deletes a template, takes it out of force, or destroys
a former version that may have been compared in its place.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from recon_service.domain.errors import ServiceFault
from recon_service.search.pgvector.transactions import transaction

NOT_COMPARABLE: Final = "-"
"""In place of the kind of the references."""
UNREADABLE: Final = "!"
"""The same, of those that cannot be opened."""
_SETUP = (
    "CREATE TABLE IF NOT EXISTS search_probes ("
    "probe text PRIMARY KEY, made_with text NOT NULL, sequence integer, "
    "counts jsonb NOT NULL DEFAULT '{}', used_at timestamptz NOT NULL DEFAULT now())",
    # Each pair of kinds has a table of its own, search_vectors_NUMBER: a scan then reads what it needs alone.
    "CREATE TABLE IF NOT EXISTS search_pairs ("
    "number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, probe text NOT NULL, reference text NOT NULL, "
    "UNIQUE (probe, reference))",
)
_SOURCES = "CREATE TABLE IF NOT EXISTS search_sources (source text PRIMARY KEY)"
_FORGETTING = (
    # A vector stands under the template in force. A former version may be what it was made of where it is of
    # another model or calibration; the same destruction is in the log of changes, by which it is made anew.
    "CREATE OR REPLACE FUNCTION templates_forget_vectors() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "DECLARE gone record; BEGIN "
    # A restore without the vectors must be able to delete again whom it brought back.
    "IF to_regclass('search_pairs') IS NULL THEN RETURN NULL; END IF; "
    "IF TG_OP = 'DELETE' OR NEW.state <> 'active' THEN "
    "FOR gone IN SELECT p.number, OLD.template_id AS template_id FROM search_pairs p "
    "UNION ALL SELECT p.number, t.template_id FROM search_pairs p, templates t "
    "WHERE TG_OP = 'DELETE' AND OLD.state = 'retired' "
    "AND t.subject_id = OLD.subject_id AND t.state = 'active' "
    "AND (t.model, t.calibration) <> (OLD.model, OLD.calibration) ORDER BY 1 LOOP "
    "EXECUTE format('DELETE FROM search_vectors_%s WHERE template_id = $1', gone.number) "
    "USING gone.template_id; "
    "END LOOP; END IF; RETURN NULL; END $$",
    "CREATE OR REPLACE TRIGGER templates_forget_vectors AFTER UPDATE OR DELETE ON templates "
    "FOR EACH ROW EXECUTE FUNCTION templates_forget_vectors()",
)
_WHEN_USED = "ALTER TABLE search_probes ADD COLUMN used_at timestamptz NOT NULL DEFAULT now()"


class PgvectorMissing(ServiceFault):
    """The database server does not have the extension."""

    code = "pgvector-missing"
    title = "The database cannot search vectors"


def prepare(engine: sa.Engine) -> None:
    """The extension is switched on, and the tables and the trigger are there. Raises PgvectorMissing."""
    if engine.dialect.name != "postgresql":
        raise PgvectorMissing(
            "pgvector is an extension of PostgreSQL, and the database is another",
            next_step="Set RECON_DATABASE_URL to a PostgreSQL, or RECON_IDENTIFICATION=memory.",
        )
    with transaction(engine) as connection:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(491260473199)"))  # any fixed number
        try:
            with connection.begin_nested():
                connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
        except exc.DBAPIError:
            raise PgvectorMissing(
                "the database server has no extension pgvector that this user may switch on",
                next_step="Run CREATE EXTENSION vector as its owner, or set RECON_IDENTIFICATION=memory.",
            ) from None
        for statement in _lacking(sa.inspect(connection)):
            connection.execute(sa.text(statement))


def _lacking(tables: sa.Inspector) -> tuple[str, ...]:
    """What makes the tables of this version of those that are there."""
    if tables.has_table("search_sources"):
        return ()
    if not tables.has_table("search_pairs"):
        return (*_SETUP, *_FORGETTING, _SOURCES)
    of_before = (*_FORGETTING, _SOURCES)
    if any(column["name"] == "used_at" for column in tables.get_columns("search_probes")):
        return of_before
    return (_WHEN_USED, *of_before)


def tables_of(connection: sa.Connection, probe: str) -> dict[str, int]:
    """The numbers of the tables that a row of search_probes has, by the kind of the references."""
    rows = connection.execute(
        sa.text("SELECT reference, number FROM search_pairs WHERE probe = :probe"), {"probe": probe}
    )
    return {row.reference: row.number for row in rows}


def table_for(connection: sa.Connection, probe: str, reference: str) -> int:
    """The number of the table of references of one kind; made where it is not there yet."""
    there = tables_of(connection, probe).get(reference)
    if there is not None:
        return there
    number = connection.scalar(
        sa.text("INSERT INTO search_pairs (probe, reference) VALUES (:probe, :reference) RETURNING number"),
        {"probe": probe, "reference": reference},
    )
    make_table(connection, int(number or 0))
    return int(number or 0)


def note_sources(connection: sa.Connection, sources: Collection[str]) -> None:
    """That some reference holds visits of them."""
    if sources:
        connection.execute(
            sa.text("INSERT INTO search_sources (source) VALUES (:source) ON CONFLICT DO NOTHING"),
            [{"source": source} for source in sorted(sources)],
        )


def noted_sources(connection: sa.Connection) -> frozenset[str]:
    """See ``note_sources``."""
    return frozenset(connection.scalars(sa.text("SELECT source FROM search_sources")))


def make_table(connection: sa.Connection, number: int) -> None:
    """Of one pair of kinds. What a dump without the contents of these tables has left goes."""
    connection.execute(sa.text(f"DROP TABLE IF EXISTS search_vectors_{number}"))
    connection.execute(
        sa.text(
            f"CREATE TABLE search_vectors_{number} "
            "(template_id varchar(64) PRIMARY KEY, vector vector NOT NULL)"
        )
    )
