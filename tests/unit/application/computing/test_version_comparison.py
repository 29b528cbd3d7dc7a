"""Two versions side by side: a candidate nearer to the person's own visits scores higher, and outliers
lead.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon_service.application.computing.version_comparison import Pair, versions_compared
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.batches import BatchTarget, Material, Selection
from recon_service.application.records.versions import VersionsCompared
from recon_service.application.reenrolling.batch_comparison import Spread, compare_batch
from recon_service.application.reenrolling.batches import submit_batch
from recon_service.comparison.policy import Policy
from recon_service.domain.errors import NotFound
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Provenance, Template
from tests.people import KIND, plain_calibration
from tests.unit.application.batches_support import NoOpCompute, add_subjects, work

MODES = 6
POLICY = Policy("policy", match_above=3.0, no_match_below=0.0)
SPACE = plain_calibration(MODES).space


def posterior(mean: np.ndarray, *, space: str = SPACE, variance: float = 0.2) -> IdentityPosterior:
    return IdentityPosterior(space, mean, variance * np.eye(len(mean)))


def template(subject: str, of: IdentityPosterior, visits: tuple[DepthVisit, ...] = ()) -> Template:
    now = utc_now()
    return Template(
        template_id=f"tpl_{subject}",
        subject_id=subject,
        posterior=of,
        source=KIND.source,
        model="model",
        calibration="test",
        provenance=(Provenance(KIND.source, "depth", now),),
        quality=80.0,
        created_at=now,
        visits=visits,
    )


def visit(of: IdentityPosterior) -> DepthVisit:
    return DepthVisit("vis_1", of, KIND.source, 1, "test", utc_now(), "policy", 5.0, False, 1.0, "kiosk")


def test_scores_of_kept_visits_follow_the_candidate() -> None:
    rng = np.random.default_rng(3)
    pairs: list[Pair] = []
    for n in range(12):
        truth = rng.normal(size=MODES)
        seen = (visit(posterior(truth)),)
        blurred = template(f"s{n}", posterior(truth + 0.9 * rng.normal(size=MODES)), seen)
        pairs.append((blurred, replace(blurred, posterior=posterior(truth, variance=0.1))))
    found = versions_compared(pairs, plain_calibration(MODES))
    own = [score.difference for change in found.changes for score in change.visits]
    assert len(own) == len(found.strangers) == 12
    assert np.mean(own) > 0
    assert np.mean([s.candidate for s in found.strangers]) < 0
    assert all(0 < change.shift < 3 for change in found.changes)
    assert all(change.width == pytest.approx(np.sqrt(0.5)) for change in found.changes)


def test_versions_of_two_models_are_not_compared() -> None:
    former = template("ada", posterior(np.zeros(MODES)))
    other = template("ada", posterior(np.zeros(MODES), space="another/6"))
    (change,) = versions_compared([(former, other)], plain_calibration(MODES)).changes
    assert change.problem == "model-mismatch"


def test_spreads() -> None:
    assert Spread.of([]) == Spread(0.0, 0.0, 0.0)
    assert Spread.of([float(n) for n in range(1, 101)]) == Spread(50.0, 95.0, 100.0)


class Compares(NoOpCompute):
    """Candidates of names that end in 7 move far."""

    def carry_over(self, templates):  # type: ignore[no-untyped-def]
        moved = super().carry_over(templates)
        return tuple(
            replace(t, posterior=replace(t.posterior, mean=t.posterior.mean + 2.0))
            if t.subject_id.endswith("7")
            else t
            for t in moved
        )

    def compare_versions(self, pairs, probes=()) -> VersionsCompared:  # type: ignore[no-untyped-def]
        return versions_compared(pairs, plain_calibration(MODES), probes, policy=POLICY)


def test_a_batch_is_judged_by_a_sample_with_outliers_first(stores: Stores) -> None:
    add_subjects(stores, [f"s{n:02}" for n in range(20)])
    target = BatchTarget(materials=(Material.POSTERIOR,))
    batch, _ = submit_batch(Selection(everybody=True), target, priority=5, actor="ops", on=stores)
    compute = Compares()
    with pytest.raises(NotFound, match="no candidates"):
        compare_batch(batch.batch_id, on=stores, compute=compute, actor="ops")
    work(stores, compute)
    found = compare_batch(batch.batch_id, on=stores, compute=compute, actor="ops", outliers=2)
    assert (found.candidates, found.sampled, found.incomparable) == (20, 20, 0)
    assert {one.subject_id for one in found.outliers} == {"s07", "s17"}
    assert found.shift.median == 0.0
    assert found.shift.largest == pytest.approx(2.0)
    assert compare_batch(batch.batch_id, on=stores, compute=compute, actor="ops", sample=5).sampled == 5
    with stores.database.snapshot() as tx:
        assert [e.action for e in tx.audit.entries(action="batch.compared")] == ["batch.compared"] * 2
