"""A search: the vectors are brought up to date, the server makes the shortlist, and the sealed templates on
it give the exact ratios, all read at one moment and on one connection.

Few search at once, and one brings the vectors up to date: connections are left for those who stand at kiosks,
and who needs a second one is never kept from it by others who wait for him.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
import sqlalchemy as sa

from recon_service.application.ports.stores import Stores
from recon_service.application.records.references import Hit, SearchProbe, SearchResult
from recon_service.application.searching.compared_versions import comparable, compared_versions
from recon_service.application.searching.reference_feed import ReferenceFeed, ReferencesNotReady
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.search.bounding_space import BoundingSpace, ProbeVector
from recon_service.search.exact_search import Ranked, best_of
from recon_service.search.pgvector.scan import ServerScan
from recon_service.search.pgvector.tables import NOT_COMPARABLE, UNREADABLE, noted_sources, prepare
from recon_service.search.pgvector.transactions import WAIT_MS, transaction
from recon_service.search.pgvector.turned_spaces import turned_spaces
from recon_service.search.pgvector.vector_set import VectorSet, compared_means, empty_unused
from recon_service.search.probe_kinds import searched_as
from recon_service.storage.database import SqlTransaction

ATTEMPTS: Final = 3
"""To search at a moment without a change that the vectors lack: whose version is exchanged between catching
up and searching has none.
"""
AT_ONCE: Final = 3
"""Searches of one process."""
CONNECTIONS: Final = 2
"""One holds the place of who brings the vectors up to date, the other applies page by page."""


class PgvectorIndex:
    """See ``ports.references.ReferenceIndex``."""

    def __init__(
        self, on: Stores, engine: sa.Engine, calibration: Calibration, *, rank: int | None = None
    ) -> None:
        """rank: how many directions are kept, None for all. Raises PgvectorMissing, InvalidValue."""
        if isinstance(engine.pool, sa.QueuePool) and engine.pool.size() < CONNECTIONS:
            raise InvalidValue(
                f"a search with pgvector needs {CONNECTIONS} connections to the database",
                next_step=f"Set RECON_DATABASE_CONNECTIONS to {CONNECTIONS} or more.",
            )
        prepare(engine)
        self._on, self._engine, self._calibration = on, engine, calibration
        self._feed = ReferenceFeed(on, calibration)
        self._spaces = turned_spaces(calibration, rank=rank, secret=on.vault.digest("search-turn"))
        self._searching = threading.BoundedSemaphore(AT_ONCE)
        self._catching_up = threading.Lock()

    def start(self) -> None:
        """Nothing to load: the server has it."""

    def check(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """The engine is not ours."""

    def search(self, probe: SearchProbe, *, count: int, least_llr: float) -> SearchResult:
        """Up to date, then pair of kinds by pair of kinds."""
        self._calibration.require(probe.posterior.space, len(probe.posterior.mean))
        with _turn(self._searching):
            for _ in range(ATTEMPTS):
                with transaction(self._engine) as connection:
                    connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                    vectors = self._vectors(probe, connection)
                    standing = vectors.standing(connection)
                    if standing.complete:
                        tables = vectors.tables(connection)
                        return self._among(connection, tables, standing.counts, probe, count, least_llr)
                with _turn(self._catching_up), transaction(self._engine) as connection:
                    counts = vectors.caught_up(connection)
                if not standing.in_use:
                    empty_unused(self._engine)
            # What was committed before the call is there, whatever changes all the time.
            with transaction(self._engine) as connection:
                return self._among(connection, vectors.tables(connection), counts, probe, count, least_llr)

    def _vectors(self, probe: SearchProbe, connection: sa.Connection) -> VectorSet:
        kind = searched_as(probe.kind, self._calibration, seen=noted_sources(connection))
        return VectorSet(kind, self._spaces, feed=self._feed, engine=self._engine)

    def _among(
        self,
        connection: sa.Connection,
        tables: Mapping[str, int],
        counts: Mapping[str, int],
        probe: SearchProbe,
        count: int,
        least_llr: float,
    ) -> SearchResult:
        """tables, counts: the number of the table, and of its vectors, by the kind of the references."""
        hits: list[Hit] = []
        searched = scored = 0
        for key, number in tables.items():
            size = counts.get(key, 0)
            if key in (NOT_COMPARABLE, UNREADABLE) or not size:
                continue
            kind = EvidenceKind.parse(key)
            ids, ranked, ratios = self._best(connection, number, kind, probe, count, least_llr)
            hits += [Hit(ids[row], float(llr)) for row, llr in zip(ranked.rows, ratios, strict=True)]
            searched, scored = searched + size, scored + ranked.scored
        hits.sort(key=lambda hit: (-hit.llr, hit.template_id))
        return SearchResult(
            tuple(hits[:count]),
            searched,
            counts.get(NOT_COMPARABLE, 0),
            scored,
            counts.get(UNREADABLE, 0),
        )

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
        space = self._spaces.of(found.pair.score)
        vector = space.probe(probe.posterior.mean)
        scan = ServerScan(connection, number, vector)
        ranked = best_of(
            scan,
            count=count,
            exact=lambda rows: self._exact(
                connection, space, vector, probe.kind, [scan.ids[row] for row in rows]
            ),
            slack=vector.slack,
            least=found.pair.score_map.least_score(least_llr),
        )
        there = np.isfinite(ranked.scores)
        ranked = replace(ranked, rows=ranked.rows[there], scores=ranked.scores[there])
        return scan.ids, ranked, found.pair.score_map(ranked.scores)

    def _exact(
        self,
        connection: sa.Connection,
        space: BoundingSpace,
        vector: ProbeVector,
        probe: EvidenceKind,
        ids: Sequence[str],
    ) -> Array:
        """Of the sealed templates; one that has gone meanwhile has no score."""
        scores = np.full(len(ids), -np.inf)
        place = {template_id: n for n, template_id in enumerate(ids)}
        tx = SqlTransaction(connection)
        opened = compared_versions(tx.references.of(ids), self._calibration, on=self._on, tx=tx).versions
        # What cannot be compared any more, since its former version has gone, has none either.
        there = [one for one in opened if comparable(one.version, self._calibration)]
        if there:
            means = compared_means(there, probe, self._calibration)
            scores[[place[one.template_id] for one in there]] = space.exact(means, vector)
        return scores


class _Lock(Protocol):
    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool: ...
    def release(self) -> None: ...


@contextmanager
def _turn(lock: _Lock) -> Iterator[None]:
    """Raises ReferencesNotReady where the others take too long."""
    if not lock.acquire(timeout=WAIT_MS / 1000):
        raise ReferencesNotReady(
            "other searches are under way",
            next_step="Send the request again after the time in Retry-After.",
        )
    try:
        yield
    finally:
        lock.release()
