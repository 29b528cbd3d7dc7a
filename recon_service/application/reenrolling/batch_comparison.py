"""Judging a batch before it is activated: what a sample of its candidates would change."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

from recon_service.application.keeping.audit import record_alone
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import BatchItem
from recon_service.application.records.evaluations import BatchEvaluation
from recon_service.application.records.versions import Change, EvaluationFigure, VersionChange
from recon_service.application.templates.sealing import open_template
from recon_service.application.verifying.recent_probes import opened_probes
from recon_service.domain.errors import NotFound

if TYPE_CHECKING:
    from recon_service.application.records.probes import RecentProbe
    from recon_service.domain.template import Decision, Template

MAX_SAMPLE: Final = 1000


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a number over the sample: middle, 95th percentile, largest."""

    median: float
    high: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of nothing: zeros."""
        ordered = sorted(values) or [0.0]
        at = math.ceil(0.95 * len(ordered)) - 1
        return cls(ordered[(len(ordered) - 1) // 2], ordered[at], ordered[-1])


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """Scores under both versions: means, the largest fall and rise, and the share that falls."""

    count: int
    former: float
    candidate: float
    largest_fall: float
    largest_rise: float
    falling: float

    @classmethod
    def of(cls, changes: Sequence[Change]) -> ScoreChange | None:
        """None: there is no such score."""
        if not changes:
            return None
        by = [change.difference for change in changes]
        return cls(
            len(changes),
            fmean(change.former for change in changes),
            fmean(change.candidate for change in changes),
            max(0.0, -min(by)),
            max(0.0, max(by)),
            sum(d < 0 for d in by) / len(by),
        )


@dataclass(frozen=True, slots=True)
class Turned:
    """So many probes that the policy in force decides in one way with the former template and in another
    with the candidate.
    """

    former: Decision
    candidate: Decision
    count: int


@dataclass(frozen=True, slots=True)
class ProbesChange:
    """Recent probes of the sample, compared again with both templates. subjects: that they are of. turned:
    decisions that would be others. told: what was decided when they were seen, with their number.
    """

    subjects: int
    scores: ScoreChange
    policy: str
    turned: tuple[Turned, ...]
    told: Mapping[Decision, int]

    @property
    def changed(self) -> int:
        """Probes whose decision would be another."""
        return sum(one.count for one in self.turned)

    @classmethod
    def of(cls, changes: Sequence[VersionChange], policy: str) -> ProbesChange | None:
        """None: there is no probe."""
        probes = [probe for change in changes for probe in change.probes]
        scores = ScoreChange.of([probe.score for probe in probes])
        if scores is None:
            return None
        turned = Counter((p.former, p.candidate) for p in probes if p.former is not p.candidate)
        return cls(
            sum(bool(change.probes) for change in changes),
            scores,
            policy,
            tuple(Turned(*pair, n) for pair, n in sorted(turned.items())),
            dict(sorted(Counter(probe.told for probe in probes).items())),
        )


@dataclass(frozen=True, slots=True)
class Outlier:
    """A subject whose template would change most. fall: of the score of the worst own visit or probe; None:
    none was kept.
    """

    subject_id: str
    former_id: str
    candidate_id: str
    shift: float
    width: float
    fall: float | None
    problem: str


@dataclass(frozen=True, slots=True)
class BatchComparison:
    """sampled: subjects looked at, of ``candidates``. shift, width: see ``VersionChange``. visits: the
    subjects' own, of strengthening; strangers: visits and probes of others. incomparable: the two versions
    are of different models. probes: recent verifications; None: none were kept. evaluation: what the
    calibration in force says of such templates. evaluations: of both ways on the same people, where they were
    asked for.
    """

    batch_id: str
    candidates: int
    sampled: int
    shift: Spread
    width: Spread
    visits: ScoreChange | None
    strangers: ScoreChange | None
    incomparable: int
    evaluation: tuple[EvaluationFigure, ...]
    outliers: tuple[Outlier, ...]
    probes: ProbesChange | None = None
    evaluations: tuple[BatchEvaluation, ...] = ()


def compare_batch(
    batch_id: str, *, on: Stores, compute: Compute, actor: str, sample: int = 200, outliers: int = 10
) -> BatchComparison:
    """Opens both templates and the recent probes of each sampled subject, which goes to the audit log.
    Raises NotFound: there is no such batch, or it has no candidates.
    """
    with on.database.snapshot() as tx:
        if tx.batches.get(batch_id) is None:
            raise NotFound("there is no such batch", next_step="List them: GET /v1/batches.")
        chosen = tx.batch_items.sample(batch_id, limit=min(max(sample, 1), MAX_SAMPLE))
        count = sum(tx.batch_items.tally(batch_id).standings.values())
        evaluations = tuple(tx.evaluations.of_batch(batch_id))
    if not chosen:
        raise NotFound("the batch has no candidates yet", next_step="Wait until items have succeeded.")
    items, pairs, probes = [], [], []
    for item in chosen:
        opened = _opened(item, on)
        if opened is not None:
            items.append((item, opened[0].template_id))
            pairs.append(opened[:2])
            probes.append(tuple(opened[2]))
    if not pairs:
        raise NotFound("the candidates of the batch are gone", next_step="Submit a batch anew.")
    record_alone(
        on=on, action="batch.compared", actor=actor, object_id=batch_id, outcome=f"sampled={len(pairs)}"
    )
    found = compute.compare_versions(pairs, probes)
    whole = [change for change in found.changes if not change.problem]
    ranked = sorted(zip(items, found.changes, strict=True), key=lambda one: _rank(one[1]), reverse=True)
    return BatchComparison(
        batch_id=batch_id,
        candidates=count,
        sampled=len(pairs),
        shift=Spread.of([change.shift for change in whole]),
        width=Spread.of([change.width for change in whole]),
        visits=ScoreChange.of([score for change in whole for score in change.visits]),
        strangers=ScoreChange.of(found.strangers),
        incomparable=len(found.changes) - len(whole),
        evaluation=found.evaluation,
        outliers=tuple(
            Outlier(
                item.subject_id,
                former_id,
                item.template_id or "",
                change.shift,
                change.width,
                change.fall,
                change.problem,
            )
            for (item, former_id), change in ranked[:outliers]
        ),
        probes=ProbesChange.of(whole, found.policy),
        evaluations=evaluations,
    )


def _rank(change: VersionChange) -> tuple[bool, float, float]:
    """Those that cannot be compared first, then by how far a genuine score falls, then by how far the mean
    moves.
    """
    return bool(change.problem), change.fall or 0.0, change.shift


def _opened(item: BatchItem, on: Stores) -> tuple[Template, Template, list[RecentProbe]] | None:
    """The template that the candidate was derived from, the candidate, and recent probes; None: one of the
    templates is gone.
    """
    with on.database.snapshot() as tx:
        key = tx.subjects.key(item.subject_id)
        candidate = tx.templates.get(item.subject_id, item.template_id or "")
        former = None
        if candidate is not None and candidate.parent_id is not None:
            former = tx.templates.get(item.subject_id, candidate.parent_id)
        if key is None or candidate is None or former is None:
            return None
        probes = opened_probes(item.subject_id, key, tx=tx, on=on)
    return open_template(former, key, on=on), open_template(candidate, key, on=on), probes
