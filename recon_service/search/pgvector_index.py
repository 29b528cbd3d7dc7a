"""The index in PostgreSQL with the extension pgvector: one vector per active template and kind of probe.

The vectors say of a face what the posterior mean says, and they are not encrypted: a server can only search
what it can read. They are turned by a matrix that the vault's secret gives, which hides the axes and not the
distances. Who may read the database may tell from them who looks like whom (docs/adr/0139).

A trigger removes the vector in the transaction that deletes a template or takes it out of force. What becomes
active is added by the first search after it, before it looks.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from sqlalchemy import exc

from recon_service.application.errors import StorageUnavailable
from recon_service.application.ports.stores import Stores
from recon_service.application.records.references import Hit, SearchProbe, SearchResult
from recon_service.application.searching.reference_feed import (
    ReferenceChange,
    ReferenceFeed,
    ReferencesNotReady,
    open_reference,
)
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.strengthening_parts import ReferencePart, chosen_part
from recon_service.domain.arrays import Array
from recon_service.domain.errors import ModelMismatch, ServiceFault, StorageFault
from recon_service.domain.template import Template
from recon_service.search.bounding_space import BoundingSpace, ProbeVector
from recon_service.search.exact_search import Ranked, Rows, best_of
from recon_service.search.memory_index import comparable

WAIT_MS: Final = 2000
SCAN_MS: Final = 30_000
NOT_COMPARABLE: Final = "-"
_OTHERS_AT_IT: Final = ("55P03", "57014")
"""SQLSTATE of a lock that was not to be had in time, and of a statement that took too long."""
_SETUP = (
    "CREATE TABLE IF NOT EXISTS search_probes ("
    "probe text PRIMARY KEY, made_with text NOT NULL, sequence integer, counts jsonb NOT NULL DEFAULT '{}')",
    # Each pair of kinds has a table of its own, search_vectors_NUMBER: a scan then reads what it needs alone.
    "CREATE TABLE IF NOT EXISTS search_pairs ("
    "number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, probe text NOT NULL, reference text NOT NULL, "
    "UNIQUE (probe, reference))",
    "CREATE OR REPLACE FUNCTION templates_forget_vectors() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "DECLARE pair record; BEGIN "
    "IF TG_OP = 'DELETE' OR NEW.state <> 'active' THEN "
    "FOR pair IN SELECT number FROM search_pairs LOOP "
    "EXECUTE format('DELETE FROM search_vectors_%s WHERE template_id = $1', pair.number) "
    "USING OLD.template_id; "
    "END LOOP; END IF; RETURN NULL; END $$",
    "CREATE OR REPLACE TRIGGER templates_forget_vectors AFTER UPDATE OR DELETE ON templates "
    "FOR EACH ROW EXECUTE FUNCTION templates_forget_vectors()",
)


class PgvectorMissing(ServiceFault):
    """The database server does not have the extension."""

    code = "pgvector-missing"
    title = "The database cannot search vectors"


class PgvectorIndex:
    """See ``ports.references.ReferenceIndex``. scan_ms: time limit of one statement of a search."""

    def __init__(
        self, on: Stores, engine: sa.Engine, calibration: Calibration, *, rank: int | None = None
    ) -> None:
        if engine.dialect.name != "postgresql":
            raise PgvectorMissing(
                "pgvector is an extension of PostgreSQL, and the database is another",
                next_step="Set RECON_DATABASE_URL to a PostgreSQL, or RECON_IDENTIFICATION=memory.",
            )
        self._on, self._engine, self._calibration = on, engine, calibration
        # All directions by default: every row of the shortlist costs the opening of a sealed template.
        self._rank = min(rank or calibration.modes, calibration.modes)
        self._feed = ReferenceFeed(on)
        self._turn = secret_turn(on.vault.digest("search-turn"), self._rank + 2)
        self._made_with = f"{calibration.identity} rank {self._rank} format 1"
        self._prepare()

    def start(self) -> None:
        """Nothing to load: the server has it."""

    def check(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """The engine is not ours."""

    def search(self, probe: SearchProbe, *, count: int, least_llr: float) -> SearchResult:
        """Up to date, then pair of kinds by pair of kinds."""
        self._calibration.require(probe.posterior.space, len(probe.posterior.mean))
        counts = self._follow(probe.kind)
        hits: list[Hit] = []
        searched = scored = 0
        with self._transaction() as connection:
            for key, number in self._tables(connection, probe.kind).items():
                size = counts.get(key, 0)
                if key == NOT_COMPARABLE or not size:
                    continue
                kind = EvidenceKind.parse(key)
                ids, ranked, ratios = self._best(connection, number, kind, probe, count, least_llr)
                hits += [Hit(ids[row], float(llr)) for row, llr in zip(ranked.rows, ratios, strict=True)]
                searched, scored = searched + size, scored + ranked.scored
        hits.sort(key=lambda hit: (-hit.llr, hit.template_id))
        return SearchResult(tuple(hits[:count]), searched, counts.get(NOT_COMPARABLE, 0), scored)

    def _best(
        self,
        connection: sa.Connection,
        number: int,
        kind: EvidenceKind,
        probe: SearchProbe,
        count: int,
        least_llr: float,
    ) -> tuple[list[str], Ranked, Array]:
        found = self._calibration.of(kind, probe.kind)
        space = BoundingSpace(found.pair.score, self._rank, self._turn)
        vector = space.probe(probe.posterior.mean)
        scan = ServerScan(connection, number, vector)
        ranked = best_of(
            scan,
            count=count,
            exact=lambda rows: self._exact(space, vector, probe.kind, [scan.ids[row] for row in rows]),
            slack=vector.slack,
            least=found.pair.score_map.least_score(least_llr),
        )
        there = np.isfinite(ranked.scores)
        ranked = replace(ranked, rows=ranked.rows[there], scores=ranked.scores[there])
        return scan.ids, ranked, found.pair.score_map(ranked.scores)

    def _exact(
        self, space: BoundingSpace, vector: ProbeVector, probe: EvidenceKind, ids: Sequence[str]
    ) -> Array:
        """Of the sealed templates; one that has gone meanwhile has no score."""
        scores = np.full(len(ids), -np.inf)
        place = {template_id: n for n, template_id in enumerate(ids)}
        with self._on.database.snapshot() as tx:
            references = tx.references.of(ids)
        if references:
            opened = [open_reference(one, on=self._on) for one in references]
            means = np.stack([self._part(template, probe).posterior.mean for template in opened])
            scores[[place[one.template_id] for one in references]] = space.exact(means, vector)
        return scores

    def _follow(self, probe: EvidenceKind) -> dict[str, int]:
        """How many references of each kind there are, after what was missing was added."""
        with self._on.database.snapshot() as tx:
            head = tx.references.head()
        with self._transaction() as connection:
            row = connection.execute(
                sa.text("SELECT made_with, sequence, counts FROM search_probes WHERE probe = :p"),
                {"p": str(probe)},
            ).one_or_none()
        if row is not None and row.made_with == self._made_with and row.sequence == head:
            return dict(row.counts)
        with self._transaction() as connection:
            return self._caught_up(connection, probe)

    def _caught_up(self, connection: sa.Connection, probe: EvidenceKind) -> dict[str, int]:
        connection.execute(sa.text(f"SET LOCAL lock_timeout = {WAIT_MS}"))
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(
            sa.text("INSERT INTO search_probes (probe, made_with) VALUES (:p, '') ON CONFLICT DO NOTHING"),
            {"p": str(probe)},
        )
        row = connection.execute(
            sa.text("SELECT made_with, sequence FROM search_probes WHERE probe = :p FOR UPDATE"),
            {"p": str(probe)},
        ).one()
        sequence = row.sequence if row.made_with == self._made_with else None
        for change in self._feed.since(sequence):
            self._apply(connection, probe, change)
            sequence = change.sequence
        counts = self._counts(connection, probe)
        connection.execute(
            sa.text(
                "UPDATE search_probes SET made_with = :m, sequence = :s, counts = CAST(:c AS jsonb) "
                "WHERE probe = :p"
            ),
            {"m": self._made_with, "s": sequence, "c": json.dumps(counts), "p": str(probe)},
        )
        return counts

    def _apply(self, connection: sa.Connection, probe: EvidenceKind, change: ReferenceChange) -> None:
        touched = [*change.gone, *(template.template_id for template in change.templates)]
        for number in self._tables(connection, probe).values():
            if change.fresh:
                connection.execute(sa.text(f"DELETE FROM search_vectors_{number}"))
            elif touched:
                connection.execute(
                    sa.text(f"DELETE FROM search_vectors_{number} WHERE template_id = ANY(:ids)"),
                    {"ids": touched},
                )
        # Whoever deletes one of them waits for us from here on, and removes our vector then.
        still = set(
            connection.scalars(
                sa.text(
                    "SELECT template_id FROM templates WHERE template_id = ANY(:ids) "
                    "AND state = 'active' FOR SHARE"
                ),
                {"ids": [template.template_id for template in change.templates]},
            )
        )
        by_kind: dict[EvidenceKind | None, list[Template]] = defaultdict(list)
        for template in change.templates:
            if template.template_id in still:
                by_kind[self._kind(template, probe)].append(template)
        for kind, templates in by_kind.items():
            self._insert(connection, kind, probe, templates)

    def _kind(self, template: Template, probe: EvidenceKind) -> EvidenceKind | None:
        """None: not comparable with such a probe."""
        if not comparable(template, self._calibration):
            return None
        kind = self._part(template, probe).kind
        try:
            self._calibration.of(kind, probe)
        except ModelMismatch:
            return None
        return kind

    def _part(self, template: Template, probe: EvidenceKind) -> ReferencePart:
        return chosen_part(template, probe, self._calibration)

    def _insert(
        self,
        connection: sa.Connection,
        kind: EvidenceKind | None,
        probe: EvidenceKind,
        templates: Sequence[Template],
    ) -> None:
        number = self._table(connection, kind, probe)
        if kind is None:
            vectors = np.zeros((len(templates), 1), dtype=np.float32)
        else:
            space = BoundingSpace(self._calibration.of(kind, probe).pair.score, self._rank, self._turn)
            means = [self._part(template, probe).posterior.mean for template in templates]
            vectors = space.references(np.stack(means))
        connection.execute(
            sa.text(
                f"INSERT INTO search_vectors_{number} (template_id, vector) "
                "VALUES (:id, CAST(:vector AS vector))"
            ),
            [
                {"id": template.template_id, "vector": written(vector)}
                for template, vector in zip(templates, vectors, strict=True)
            ],
        )

    def _counts(self, connection: sa.Connection, probe: EvidenceKind) -> dict[str, int]:
        return {
            reference: connection.scalar(sa.text(f"SELECT count(*) FROM search_vectors_{number}")) or 0
            for reference, number in self._tables(connection, probe).items()
        }

    def _tables(self, connection: sa.Connection, probe: EvidenceKind) -> dict[str, int]:
        """By the kind of the references."""
        rows = connection.execute(
            sa.text("SELECT reference, number FROM search_pairs WHERE probe = :probe"), {"probe": str(probe)}
        )
        return {row.reference: row.number for row in rows}

    def _table(self, connection: sa.Connection, kind: EvidenceKind | None, probe: EvidenceKind) -> int:
        """Made where it is not there yet."""
        reference = str(kind or NOT_COMPARABLE)
        there = self._tables(connection, probe).get(reference)
        if there is not None:
            return there
        number = connection.scalar(
            sa.text(
                "INSERT INTO search_pairs (probe, reference) VALUES (:probe, :reference) RETURNING number"
            ),
            {"probe": str(probe), "reference": reference},
        )
        make_table(connection, int(number or 0))
        return int(number or 0)

    def _prepare(self) -> None:
        with self._transaction() as connection:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(491260473199)"))  # any fixed number
            try:
                with connection.begin_nested():
                    connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
            except exc.DBAPIError:
                raise PgvectorMissing(
                    "the database server has no extension pgvector that this user may switch on",
                    next_step="Run CREATE EXTENSION vector as its owner, or set RECON_IDENTIFICATION=memory.",
                ) from None
            there = connection.scalar(sa.text("SELECT to_regclass('search_pairs') IS NOT NULL"))
            if not there:
                for statement in _SETUP:
                    connection.execute(sa.text(statement))

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.text(f"SET LOCAL statement_timeout = {SCAN_MS}"))
                # One search, one core: what others do must not wait for it.
                connection.execute(sa.text("SET LOCAL max_parallel_workers_per_gather = 0"))
                yield connection
        except exc.DBAPIError as fault:
            if getattr(fault.orig, "sqlstate", "") in _OTHERS_AT_IT:
                raise ReferencesNotReady(
                    "the references are being loaded",
                    next_step="Send the request again after the time in Retry-After.",
                ) from None
            if isinstance(fault, exc.OperationalError):
                raise StorageUnavailable("the database does not answer") from fault
            raise StorageFault("the search in the database failed") from fault


class ServerScan:
    """See ``exact_search.Scan``. Rows are places in ``ids``. number: of the table of the pair."""

    def __init__(self, connection: sa.Connection, number: int, probe: ProbeVector) -> None:
        self._connection, self._table, self._constant = connection, f"search_vectors_{number}", probe.constant
        self._probe = written(probe.vector)
        self.ids: list[str] = []
        self._places: dict[str, int] = {}
        self.size = 0

    def highest(self, count: int) -> tuple[Rows, Array]:
        """The server sorts."""
        rows = self._connection.execute(
            sa.text(
                f"SELECT template_id, -(vector <#> CAST(:q AS vector)) AS bound FROM {self._table} "
                "ORDER BY vector <#> CAST(:q AS vector) LIMIT :count"
            ),
            {"q": self._probe, "count": count},
        ).all()
        # Fewer than asked for are all that there are.
        self.size = len(rows) + (len(rows) == count)
        bounds = np.array([row.bound for row in rows], dtype=np.float64) + self._constant
        return self._rows([row.template_id for row in rows]), bounds

    def above(self, bound: float) -> Rows:
        """The server filters."""
        rows = self._connection.scalars(
            sa.text(f"SELECT template_id FROM {self._table} WHERE vector <#> CAST(:q AS vector) <= :limit"),
            {"q": self._probe, "limit": self._constant - bound},
        )
        return self._rows(list(rows))

    def _rows(self, ids: Sequence[str]) -> Rows:
        for template_id in ids:
            if template_id not in self._places:
                self._places[template_id] = len(self.ids)
                self.ids.append(template_id)
        return np.array([self._places[one] for one in ids], dtype=np.int64)


def secret_turn(secret: str, dimension: int) -> Array:
    """(D, D) orthogonal, uniformly distributed, the same for the same secret on every machine."""
    size = dimension * dimension
    stream = hashlib.shake_256(secret.encode()).digest(16 * size)
    uniform = (np.frombuffer(stream, dtype="<u8").astype(np.float64) + 0.5) / 2.0**64
    normal = np.sqrt(-2 * np.log(uniform[:size])) * np.cos(2 * np.pi * uniform[size:])
    turn, triangle = np.linalg.qr(normal.reshape(dimension, dimension))
    return np.asarray(turn * np.sign(np.diag(triangle)))


def make_table(connection: sa.Connection, number: int) -> None:
    """Of one pair of kinds."""
    connection.execute(
        sa.text(
            f"CREATE TABLE search_vectors_{number} "
            "(template_id varchar(64) PRIMARY KEY, vector vector NOT NULL)"
        )
    )


def written(vector: Any) -> str:
    """As the extension reads it."""
    return "[" + ",".join(repr(float(x)) for x in vector) + "]"
