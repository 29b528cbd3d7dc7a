"""What a batch promises, seen from the database: every item one end, every subject one template in force."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field

import sqlalchemy as sa

from recon_service.storage import tables as t
from recon_service.storage.batch_tables import batch_items, batches

Versions = dict[str, tuple[str, str]]
"""Subject -> id and SHA-256 of the template in force."""


@dataclass
class BatchReport:
    """The last line. doubled: subjects with more than one candidate, or a candidate that no item speaks of.
    lost: subjects without an item, or items without an end. wrong: answers that showed another template
    than the one in force. pauses: seconds from the request until nothing ended any more. bit_equal: after
    the rollback. resident: megabytes over time, by kind of process.
    """

    stack: str
    seed: int
    subjects: int
    ends: dict[str, int] = field(default_factory=dict)
    standings: dict[str, int] = field(default_factory=dict)
    lost: int = -1
    doubled: int = -1
    wrong_totals: int = 0
    not_activated: int = -1
    bit_equal: bool = False
    pauses: list[float] = field(default_factory=list)
    listings: int = 0
    wrong: int = 0
    verifications: int = 0
    other_score: int = 0
    unanswered: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    items_per_second: float = 0.0
    resident: dict[str, list[int]] = field(default_factory=dict)
    seconds: int = 0

    @property
    def good(self) -> bool:
        broken = (
            self.lost,
            self.doubled,
            self.wrong_totals,
            self.not_activated,
            self.wrong,
            self.other_score,
        )
        return not any(broken) and self.bit_equal and max(self.pauses, default=0.0) <= 5.0

    def as_json(self) -> dict[str, object]:
        # Sixteen moments of each kind of process are enough to see whether it grows.
        thinned = {
            kind: [series[k * (len(series) - 1) // 15] for k in range(16)]
            for kind, series in self.resident.items()
            if series
        }
        return {**asdict(self), "resident": thinned}


def in_force(engine: sa.Engine) -> Versions:
    """What every subject is compared with."""
    c = t.templates.c
    query = sa.select(c.subject_id, c.template_id, c.sealed).where(c.state == "active")
    with engine.connect() as connection:
        rows = connection.execution_options(yield_per=1000).execute(query)
        return {r.subject_id: (r.template_id, hashlib.sha256(r.sealed).hexdigest()) for r in rows}


def count_ends(engine: sa.Engine, batch_id: str, subjects: set[str], report: BatchReport) -> None:
    """After the work: items and candidates against each other."""
    i, c = batch_items.c, t.templates.c
    with engine.connect() as connection:
        items = connection.execute(
            sa.select(i.subject_id, i.state, i.template_id).where(i.batch_id == batch_id)
        ).all()
        made = connection.execute(
            sa.select(c.subject_id, c.template_id).where(c.origin == "re-enrollment")
        ).all()
        expected = connection.scalar(sa.select(batches.c.expected).where(batches.c.batch_id == batch_id))
    report.ends = dict(Counter(item.state for item in items))
    report.lost = len(subjects ^ {item.subject_id for item in items})
    report.lost += sum(item.state in ("waiting", "running") for item in items)
    speaks_of = {item.template_id for item in items if item.template_id is not None}
    report.doubled = sum(n > 1 for n in Counter(m.subject_id for m in made).values())
    report.doubled += len(speaks_of ^ {m.template_id for m in made})
    report.wrong_totals = abs(len(items) - int(expected or 0))
    succeeded = report.ends.get("succeeded", 0)
    report.wrong_totals += abs(succeeded - len(made))


def count_standings(engine: sa.Engine, batch_id: str) -> dict[str, int]:
    """Of the candidates."""
    i = batch_items.c
    query = sa.select(i.standing, sa.func.count()).where(i.batch_id == batch_id, i.standing.is_not(None))
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query.group_by(i.standing))}


def count_done(engine: sa.Engine, batch_id: str) -> int:
    """Items with an end."""
    i = batch_items.c
    query = sa.select(sa.func.count()).where(i.batch_id == batch_id, i.ended_at.is_not(None))
    with engine.connect() as connection:
        return int(connection.scalar(query) or 0)


def candidates(engine: sa.Engine, batch_id: str) -> dict[str, str]:
    """Subject -> candidate."""
    i = batch_items.c
    query = sa.select(i.subject_id, i.template_id).where(i.batch_id == batch_id, i.state == "succeeded")
    with engine.connect() as connection:
        return {row.subject_id: row.template_id for row in connection.execute(query)}
