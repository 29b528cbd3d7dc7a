"""A search: the vectors are brought up to date, the server makes the shortlist, and the sealed templates on
it give the exact ratios.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import sqlalchemy as sa

from recon_service.application.ports.stores import Stores
from recon_service.application.records.references import Hit, SearchProbe, SearchResult
from recon_service.application.searching.compared_versions import comparable, compared_versions
from recon_service.application.searching.reference_feed import ReferenceFeed
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.arrays import Array
from recon_service.search.bounding_space import BoundingSpace, ProbeVector
from recon_service.search.exact_search import Ranked, best_of
from recon_service.search.pgvector.scan import ServerScan
from recon_service.search.pgvector.tables import NOT_COMPARABLE, prepare
from recon_service.search.pgvector.transactions import transaction
from recon_service.search.pgvector.turned_spaces import turned_spaces
from recon_service.search.pgvector.vector_set import VectorSet, compared_means, empty_unused

ATTEMPTS: Final = 3
"""To search at a moment without a change that the vectors lack: whose version is exchanged between catching
up and searching has none.
"""


class PgvectorIndex:
    """See ``ports.references.ReferenceIndex``."""

    def __init__(
        self, on: Stores, engine: sa.Engine, calibration: Calibration, *, rank: int | None = None
    ) -> None:
        """rank: how many directions are kept, None for all. Raises PgvectorMissing."""
        prepare(engine)
        self._on, self._engine, self._calibration = on, engine, calibration
        self._feed = ReferenceFeed(on, calibration)
        self._spaces = turned_spaces(calibration, rank=rank, secret=on.vault.digest("search-turn"))

    def start(self) -> None:
        """Nothing to load: the server has it."""

    def check(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """The engine is not ours."""

    def search(self, probe: SearchProbe, *, count: int, least_llr: float) -> SearchResult:
        """Up to date, then pair of kinds by pair of kinds."""
        self._calibration.require(probe.posterior.space, len(probe.posterior.mean))
        vectors = VectorSet(probe.kind, self._spaces, feed=self._feed, engine=self._engine)
        for _ in range(ATTEMPTS):
            with transaction(self._engine) as connection:
                connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                standing = vectors.standing(connection)
                if standing.complete:
                    tables = vectors.tables(connection)
                    return self._among(connection, tables, standing.counts, probe, count, least_llr)
            with transaction(self._engine) as connection:
                counts = vectors.caught_up(connection)
            if not standing.in_use:
                empty_unused(self._engine)
        # What was committed before the call is there, whatever changes all the time.
        with transaction(self._engine) as connection:
            return self._among(connection, vectors.tables(connection), counts, probe, count, least_llr)

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
        space = self._spaces.of(found.pair.score)
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
            means = compared_means(there, probe, self._calibration)
            scores[[place[one.template_id] for one in there]] = space.exact(means, vector)
        return scores
