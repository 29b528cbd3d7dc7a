"""The vectors for one kind of probe under one calibration, and how they follow the log of changes.

What becomes active is added by the first search after it, before it looks; what goes has gone already (see
``tables``). Each calibration has its vectors for itself: while a fleet moves from one model to another,
processes of both search. What nobody has searched for a day is emptied.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy as sa

from recon_service.application.searching.compared_versions import ComparedVersion, comparable
from recon_service.application.searching.reference_feed import (
    ReferenceChange,
    ReferenceFeed,
    ReferencesNotReady,
)
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.strengthening_parts import chosen_part, parts_of
from recon_service.domain.arrays import AnyArray, Array
from recon_service.domain.errors import ModelMismatch
from recon_service.search.pgvector.scan import written
from recon_service.search.pgvector.tables import (
    NOT_COMPARABLE,
    UNREADABLE,
    note_sources,
    table_for,
    tables_of,
)
from recon_service.search.pgvector.transactions import limit_waiting, locked, transaction
from recon_service.search.pgvector.turned_spaces import TurnedSpaces

IN_USE: Final = "interval '1 hour'"
"""Who searches says so no more often."""
UNUSED: Final = "interval '1 day'"
AGAIN: Final = "interval '1 minute'"
"""What could not be opened is tried again after so long."""


@dataclass(frozen=True, slots=True)
class Standing:
    """complete: the vectors are those of all changes so far, of which there are so many of each kind. in_use:
    somebody said of late that they are searched.
    """

    counts: Mapping[str, int]
    complete: bool
    in_use: bool


class VectorSet:
    """Connections are given by the caller, whose transactions they are; each change is applied in one of its
    own.
    """

    def __init__(
        self, probe: EvidenceKind, spaces: TurnedSpaces, *, feed: ReferenceFeed, engine: sa.Engine
    ) -> None:
        self._probe, self._spaces, self._calibration = probe, spaces, spaces.calibration
        self._feed, self._engine = feed, engine
        self._name = f"{probe} under {spaces.made_with}"

    def tables(self, connection: sa.Connection) -> dict[str, int]:
        """Their numbers by the kind of the references."""
        return tables_of(connection, self._name)

    def standing(self, connection: sa.Connection) -> Standing:
        """As of the moment that the connection sees."""
        row = connection.execute(
            sa.text(
                f"SELECT made_with, p.sequence = h.sequence AS at_head, counts, used_at > now() - {IN_USE} "
                f"AS in_use, used_at > now() - {AGAIN} AS tried "
                "FROM search_probes p CROSS JOIN reference_head h WHERE probe = :p"
            ),
            {"p": self._name},
        ).one_or_none()
        if row is None:
            return Standing({}, complete=False, in_use=False)
        complete = row.made_with == self._spaces.made_with and row.at_head and row.in_use
        complete &= row.tried or not row.counts.get(UNREADABLE)
        return Standing(row.counts, complete=bool(complete), in_use=row.in_use)

    def caught_up(self, connection: sa.Connection) -> dict[str, int]:
        """How many vectors of each kind of references there are, after all changes are applied that were
        committed before. Takes a second connection.
        """
        limit_waiting(connection)
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(
            sa.text("INSERT INTO search_probes (probe, made_with) VALUES (:p, '') ON CONFLICT DO NOTHING"),
            {"p": self._name},
        )
        row = connection.execute(
            sa.text("SELECT made_with, sequence FROM search_probes WHERE probe = :p FOR UPDATE"),
            {"p": self._name},
        ).one()
        standing = self.standing(connection)
        if standing.complete:
            return dict(standing.counts)  # whoever had the row before us has done it
        sequence = row.sequence if row.made_with == self._spaces.made_with else None
        # This row is ours until the end. Each change is a transaction of its own, that who changes a template
        # meanwhile waits no longer than for that; what breaks off in between is applied again, or anew.
        for change in self._feed.since(sequence):
            with transaction(self._engine) as applying:
                self._apply(applying, change)
            sequence = change.sequence
            # The server ends a transaction in which nothing happens for a minute; the first filling of many
            # vectors takes longer.
            connection.execute(sa.text("SELECT 1"))
        unreadable = self._unreadable(connection)
        if unreadable and sequence is not None:
            with transaction(self._engine) as applying:
                self._apply(applying, self._feed.again(unreadable, sequence=sequence))
        counts = self._counts(connection)
        connection.execute(
            sa.text(
                "UPDATE search_probes SET made_with = :m, sequence = :s, counts = CAST(:c AS jsonb), "
                "used_at = now() WHERE probe = :p"
            ),
            {"m": self._spaces.made_with, "s": sequence, "c": json.dumps(counts), "p": self._name},
        )
        return counts

    def _apply(self, connection: sa.Connection, change: ReferenceChange) -> None:
        touched = list(change.touched)
        # Whoever changes one of them waits for us from here on, and removes our vector then.
        still = locked(connection, [*touched, *(one.version.template_id for one in change.references)])
        for number in sorted(self.tables(connection).values()):
            if change.fresh:
                connection.execute(sa.text(f"TRUNCATE search_vectors_{number}"))
            elif touched:
                connection.execute(
                    sa.text(f"DELETE FROM search_vectors_{number} WHERE template_id = ANY(:ids)"),
                    {"ids": touched},
                )
        by_kind: dict[str, list[ComparedVersion]] = defaultdict(list)
        for one in change.references:
            # A version that has gone meanwhile is in the log: the next search looks for another.
            if still.get(one.template_id) == "active" and one.version.template_id in still:
                by_kind[self._kind(one)].append(one)
        for kind, references in by_kind.items():
            ids = [one.template_id for one in references]
            self._insert(connection, kind, ids, self._vectors(kind, references))
        unreadable = [one for one in change.unreadable if still.get(one) == "active"]
        if unreadable:
            self._insert(connection, UNREADABLE, unreadable, _nothing(unreadable))
        note_sources(connection, {s for one in change.references for s in self._sources_of_visits(one)})

    def _kind(self, reference: ComparedVersion) -> str:
        """Of its part that such a probe is compared with."""
        if not comparable(reference.version, self._calibration):
            return NOT_COMPARABLE
        kind = chosen_part(reference.version, self._probe, self._calibration).kind
        try:
            self._calibration.of(kind, self._probe)
        except ModelMismatch:
            return NOT_COMPARABLE
        return str(kind)

    def _sources_of_visits(self, reference: ComparedVersion) -> list[str]:
        if not reference.version.visits or not comparable(reference.version, self._calibration):
            return []
        return [part.kind.source for part in parts_of(reference.version, self._calibration)]

    def _vectors(self, kind: str, references: Sequence[ComparedVersion]) -> AnyArray:
        if kind == NOT_COMPARABLE:
            return _nothing(references)
        space = self._spaces.of(self._calibration.of(EvidenceKind.parse(kind), self._probe).pair.score)
        return space.references(compared_means(references, self._probe, self._calibration))

    def _insert(
        self, connection: sa.Connection, kind: str, template_ids: Sequence[str], vectors: AnyArray
    ) -> None:
        number = table_for(connection, self._name, kind)
        connection.execute(
            sa.text(
                f"INSERT INTO search_vectors_{number} (template_id, vector) "
                "VALUES (:id, CAST(:vector AS vector))"
            ),
            [
                {"id": template_id, "vector": written(vector)}
                for template_id, vector in zip(template_ids, vectors, strict=True)
            ],
        )

    def _unreadable(self, connection: sa.Connection) -> list[str]:
        number = self.tables(connection).get(UNREADABLE)
        if number is None:
            return []
        return list(connection.scalars(sa.text(f"SELECT template_id FROM search_vectors_{number}")))

    def _counts(self, connection: sa.Connection) -> dict[str, int]:
        return {
            reference: connection.scalar(sa.text(f"SELECT count(*) FROM search_vectors_{number}")) or 0
            for reference, number in self.tables(connection).items()
        }


def _nothing(of: Sequence[object]) -> AnyArray:
    return np.zeros((len(of), 1), dtype=np.float32)


def compared_means(
    references: Sequence[ComparedVersion], probe: EvidenceKind, calibration: Calibration
) -> Array:
    """(n, K) posterior means of the parts that a verification would compare with such a probe."""
    parts = [chosen_part(one.version, probe, calibration) for one in references]
    return np.stack([part.posterior.mean for part in parts])


def empty_unused(engine: sa.Engine) -> None:
    """All sets that nobody searches any more, of whichever calibration. The tables stay, for a deletion at
    this moment may be about to look into them.
    """
    with suppress(ReferencesNotReady), transaction(engine) as connection:
        limit_waiting(connection)
        unused = connection.scalars(
            sa.text(
                "SELECT probe FROM search_probes "
                f"WHERE made_with <> '' AND used_at < now() - {UNUSED} FOR UPDATE SKIP LOCKED"
            )
        ).all()
        for one in unused:
            for number in sorted(tables_of(connection, one).values()):  # as who deletes takes them
                connection.execute(sa.text(f"TRUNCATE search_vectors_{number}"))
            connection.execute(
                sa.text(
                    "UPDATE search_probes SET made_with = '', sequence = NULL, counts = '{}' WHERE probe = :p"
                ),
                {"p": one},
            )
