"""The index in PostgreSQL with the extension pgvector: one vector per active template and kind of probe.

The vectors say of a face what the posterior mean says, and they are not encrypted: a server can only search
what it can read. They are turned by a matrix that the vault's secret gives, which hides the axes and not the
distances. Who may read the database may tell from them who looks like whom (docs/adr/0139).

A trigger removes the vector in the transaction that deletes a template, takes it out of force, or destroys
a former version that may have been compared in its place. What becomes active is added by the first search
after it, before it looks.

Each calibration has its vectors for itself: while a fleet moves from one model to another, processes of both
search. What nobody has searched for a day is emptied.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from sqlalchemy import exc

from recon_service.application.errors import StorageUnavailable
from recon_service.application.ports.stores import Stores
from recon_service.application.records.references import Hit, SearchProbe, SearchResult
from recon_service.application.searching.compared_versions import (
    ComparedVersion,
    comparable,
    compared_versions,
)
from recon_service.application.searching.reference_feed import (
    ReferenceChange,
    ReferenceFeed,
    ReferencesNotReady,
)
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.strengthening_parts import ReferencePart, chosen_part
from recon_service.domain.arrays import Array
from recon_service.domain.errors import ModelMismatch, ServiceFault, StorageFault
from recon_service.search.bounding_space import BoundingSpace, ProbeVector
from recon_service.search.exact_search import Ranked, Rows, best_of

WAIT_MS: Final = 2000
SCAN_MS: Final = 30_000
ATTEMPTS: Final = 3
"""To search at a moment without a change that the vectors lack: whose version is exchanged between catching
up and searching has none.
"""
NOT_COMPARABLE: Final = "-"
LOCKED: Final = "55P03"
_OTHERS_AT_IT: Final = (LOCKED, "57014")
"""SQLSTATE of a lock that was not to be had in time, and of a statement that took too long."""
_SETUP = (
    "CREATE TABLE IF NOT EXISTS search_probes ("
    "probe text PRIMARY KEY, made_with text NOT NULL, sequence integer, "
    "counts jsonb NOT NULL DEFAULT '{}', used_at timestamptz NOT NULL DEFAULT now())",
    # Each pair of kinds has a table of its own, search_vectors_NUMBER: a scan then reads what it needs alone.
    "CREATE TABLE IF NOT EXISTS search_pairs ("
    "number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, probe text NOT NULL, reference text NOT NULL, "
    "UNIQUE (probe, reference))",
)
_FORGETTING = (
    # A vector stands under the template in force. A former version may be what it was made of where it is of
    # another model or calibration; the same destruction is in the log of changes, by which it is made anew.
    "CREATE OR REPLACE FUNCTION templates_forget_vectors() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "DECLARE gone record; BEGIN "
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
_OF_BEFORE = (
    "ALTER TABLE search_probes ADD COLUMN used_at timestamptz NOT NULL DEFAULT now()",
    *_FORGETTING,
)
"""For tables of a version that did not know former versions."""
IN_USE: Final = "interval '1 hour'"
"""Who searches says so no more often."""
UNUSED: Final = "interval '1 day'"
_LOCK = (
    "SELECT t.template_id, t.state FROM templates t WHERE t.template_id IN ("
    "SELECT unnest(CAST(:ids AS text[])) UNION ALL SELECT o.template_id "
    "FROM templates a JOIN templates o ON o.subject_id = a.subject_id "
    "WHERE a.template_id = ANY(:ids) AND a.state = 'active' AND o.state = 'retired' "
    "AND (o.model, o.calibration) <> (a.model, a.calibration)) FOR SHARE OF t NOWAIT"
)
RETRY_S: Final = 0.02


class PgvectorMissing(ServiceFault):
    """The database server does not have the extension."""

    code = "pgvector-missing"
    title = "The database cannot search vectors"


@dataclass(frozen=True, slots=True)
class _Standing:
    """complete: the vectors are those of all changes so far, of which there are so many of each kind. in_use:
    somebody said of late that they are searched.
    """

    counts: Mapping[str, int]
    complete: bool
    in_use: bool


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
        self._feed = ReferenceFeed(on, calibration)
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
        for _ in range(ATTEMPTS):
            with self._transaction() as connection:
                connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                standing = self._standing(connection, probe.kind)
                if standing.complete:
                    return self._among(connection, standing.counts, probe, count, least_llr)
            with self._transaction() as connection:
                counts = self._caught_up(connection, probe.kind)
            if not standing.in_use:
                self._empty_unused()
        # What was committed before the call is there, whatever changes all the time.
        with self._transaction() as connection:
            return self._among(connection, counts, probe, count, least_llr)

    def _among(
        self,
        connection: sa.Connection,
        counts: Mapping[str, int],
        probe: SearchProbe,
        count: int,
        least_llr: float,
    ) -> SearchResult:
        hits: list[Hit] = []
        searched = scored = 0
        for key, number in self._tables(connection, self._set(probe.kind)).items():
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
            opened = compared_versions(references, self._calibration, on=self._on, tx=tx).versions
        # What cannot be compared any more, since its former version has gone, has none either.
        there = [one for one in opened if comparable(one.version, self._calibration)]
        if there:
            means = np.stack([self._part(one, probe).posterior.mean for one in there])
            scores[[place[one.template_id] for one in there]] = space.exact(means, vector)
        return scores

    def _set(self, probe: EvidenceKind) -> str:
        """The vectors for this kind of probe under this calibration."""
        return f"{probe} under {self._made_with}"

    def _standing(self, connection: sa.Connection, probe: EvidenceKind) -> _Standing:
        """As of the moment that the connection sees."""
        row = connection.execute(
            sa.text(
                f"SELECT made_with, p.sequence = h.sequence AS at_head, counts, used_at > now() - {IN_USE} "
                "AS in_use FROM search_probes p CROSS JOIN reference_head h WHERE probe = :p"
            ),
            {"p": self._set(probe)},
        ).one_or_none()
        if row is None:
            return _Standing({}, complete=False, in_use=False)
        complete = row.made_with == self._made_with and row.at_head and row.in_use
        return _Standing(row.counts, complete=bool(complete), in_use=row.in_use)

    def _empty_unused(self) -> None:
        """The tables stay, for a deletion at this moment may be about to look into them."""
        with suppress(ReferencesNotReady), self._transaction() as connection:
            connection.execute(sa.text(f"SET LOCAL lock_timeout = {WAIT_MS}"))
            unused = connection.scalars(
                sa.text(
                    "SELECT probe FROM search_probes "
                    f"WHERE made_with <> '' AND used_at < now() - {UNUSED} FOR UPDATE SKIP LOCKED"
                )
            ).all()
            for one in unused:
                for number in sorted(self._tables(connection, one).values()):  # as who deletes takes them
                    connection.execute(sa.text(f"TRUNCATE search_vectors_{number}"))
                connection.execute(
                    sa.text(
                        "UPDATE search_probes SET made_with = '', sequence = NULL, counts = '{}' "
                        "WHERE probe = :p"
                    ),
                    {"p": one},
                )

    def _caught_up(self, connection: sa.Connection, probe: EvidenceKind) -> dict[str, int]:
        connection.execute(sa.text(f"SET LOCAL lock_timeout = {WAIT_MS}"))
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(
            sa.text("INSERT INTO search_probes (probe, made_with) VALUES (:p, '') ON CONFLICT DO NOTHING"),
            {"p": self._set(probe)},
        )
        row = connection.execute(
            sa.text("SELECT made_with, sequence FROM search_probes WHERE probe = :p FOR UPDATE"),
            {"p": self._set(probe)},
        ).one()
        sequence = row.sequence if row.made_with == self._made_with else None
        # This row is ours until the end. Each change is a transaction of its own, that who changes a template
        # meanwhile waits no longer than for that; what breaks off in between is applied again, or anew.
        for change in self._feed.since(sequence):
            with self._transaction() as applying:
                self._apply(applying, probe, change)
            sequence = change.sequence
        counts = self._counts(connection, probe)
        connection.execute(
            sa.text(
                "UPDATE search_probes SET made_with = :m, sequence = :s, counts = CAST(:c AS jsonb), "
                "used_at = now() WHERE probe = :p"
            ),
            {"m": self._made_with, "s": sequence, "c": json.dumps(counts), "p": self._set(probe)},
        )
        return counts

    def _apply(self, connection: sa.Connection, probe: EvidenceKind, change: ReferenceChange) -> None:
        touched = [*change.gone, *(one.template_id for one in change.references)]
        # Whoever changes one of them waits for us from here on, and removes our vector then.
        still = locked(connection, [*touched, *(one.version.template_id for one in change.references)])
        for number in sorted(self._tables(connection, self._set(probe)).values()):
            if change.fresh:
                connection.execute(sa.text(f"TRUNCATE search_vectors_{number}"))
            elif touched:
                connection.execute(
                    sa.text(f"DELETE FROM search_vectors_{number} WHERE template_id = ANY(:ids)"),
                    {"ids": touched},
                )
        by_kind: dict[EvidenceKind | None, list[ComparedVersion]] = defaultdict(list)
        for one in change.references:
            # A version that has gone meanwhile is in the log: the next search looks for another.
            if still.get(one.template_id) == "active" and one.version.template_id in still:
                by_kind[self._kind(one, probe)].append(one)
        for kind, references in by_kind.items():
            self._insert(connection, kind, probe, references)

    def _kind(self, reference: ComparedVersion, probe: EvidenceKind) -> EvidenceKind | None:
        """None: not comparable with such a probe."""
        if not comparable(reference.version, self._calibration):
            return None
        kind = self._part(reference, probe).kind
        try:
            self._calibration.of(kind, probe)
        except ModelMismatch:
            return None
        return kind

    def _part(self, reference: ComparedVersion, probe: EvidenceKind) -> ReferencePart:
        return chosen_part(reference.version, probe, self._calibration)

    def _insert(
        self,
        connection: sa.Connection,
        kind: EvidenceKind | None,
        probe: EvidenceKind,
        references: Sequence[ComparedVersion],
    ) -> None:
        number = self._table(connection, kind, probe)
        if kind is None:
            vectors = np.zeros((len(references), 1), dtype=np.float32)
        else:
            space = BoundingSpace(self._calibration.of(kind, probe).pair.score, self._rank, self._turn)
            means = [self._part(one, probe).posterior.mean for one in references]
            vectors = space.references(np.stack(means))
        connection.execute(
            sa.text(
                f"INSERT INTO search_vectors_{number} (template_id, vector) "
                "VALUES (:id, CAST(:vector AS vector))"
            ),
            [
                {"id": one.template_id, "vector": written(vector)}
                for one, vector in zip(references, vectors, strict=True)
            ],
        )

    def _counts(self, connection: sa.Connection, probe: EvidenceKind) -> dict[str, int]:
        return {
            reference: connection.scalar(sa.text(f"SELECT count(*) FROM search_vectors_{number}")) or 0
            for reference, number in self._tables(connection, self._set(probe)).items()
        }

    def _tables(self, connection: sa.Connection, one_set: str) -> dict[str, int]:
        """By the kind of the references."""
        rows = connection.execute(
            sa.text("SELECT reference, number FROM search_pairs WHERE probe = :probe"), {"probe": one_set}
        )
        return {row.reference: row.number for row in rows}

    def _table(self, connection: sa.Connection, kind: EvidenceKind | None, probe: EvidenceKind) -> int:
        """Made where it is not there yet."""
        reference = str(kind or NOT_COMPARABLE)
        there = self._tables(connection, self._set(probe)).get(reference)
        if there is not None:
            return there
        number = connection.scalar(
            sa.text(
                "INSERT INTO search_pairs (probe, reference) VALUES (:probe, :reference) RETURNING number"
            ),
            {"probe": self._set(probe), "reference": reference},
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
            tables = sa.inspect(connection)
            if not tables.has_table("search_pairs"):
                statements: tuple[str, ...] = (*_SETUP, *_FORGETTING)
            elif not any(c["name"] == "used_at" for c in tables.get_columns("search_probes")):
                statements = _OF_BEFORE
            else:
                return
            for statement in statements:
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


def locked(connection: sa.Connection, template_ids: Sequence[str]) -> dict[str, str]:
    """The states of those that are there, and nobody changes them before the transaction ends; nor former
    versions of other models, whose destruction takes the vector of the one in force along.

    Nobody is waited for while a lock is held: who waits for us may hold what we want, and would be the one
    whom the server ends.
    """
    deadline = time.monotonic() + WAIT_MS / 1000
    while True:
        try:
            with connection.begin_nested():
                rows = connection.execute(sa.text(_LOCK), {"ids": list(template_ids)})
                return {row.template_id: row.state for row in rows}
        except exc.OperationalError as fault:
            if getattr(fault.orig, "sqlstate", "") != LOCKED or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_S)


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
